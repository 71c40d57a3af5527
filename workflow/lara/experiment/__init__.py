"""Assembly: configuration and files become components; the only package that knows them all."""
