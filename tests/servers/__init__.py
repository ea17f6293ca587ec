"""asgikit behind real servers, over real sockets."""
