"""Figures of the category “methods”."""
