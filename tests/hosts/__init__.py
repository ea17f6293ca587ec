"""Apps inside of other frameworks, adapters and clients, in process."""
