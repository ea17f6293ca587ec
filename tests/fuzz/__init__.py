"""Fuzz targets, for atheris; `python -m tests.fuzz.fuzz_multipart --help` tells how they run."""
