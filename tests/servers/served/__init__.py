"""The apps that the servers serve, each named to them as ``served.module:name``."""
