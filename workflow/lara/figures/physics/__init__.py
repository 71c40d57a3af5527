"""Figures of the category “physics”."""
