"""Small apps to run; the README lists them."""
