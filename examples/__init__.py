"""Small apps that run: see the README."""
