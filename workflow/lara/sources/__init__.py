"""Providers of atmospheric states, one module each: our names, SI units, one calendar month at a time."""
