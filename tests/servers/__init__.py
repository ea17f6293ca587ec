"""Apps served by real ASGI servers, with requests over sockets."""
