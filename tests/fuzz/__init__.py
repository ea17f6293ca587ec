"""Fuzz targets for atheris; ``python -m tests.fuzz`` runs them for a minute."""
