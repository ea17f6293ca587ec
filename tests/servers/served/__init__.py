"""The apps that the servers run, as ``served.module:name``."""
