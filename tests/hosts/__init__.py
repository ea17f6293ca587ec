"""asgikit inside other frameworks, adapters and clients, in process."""
