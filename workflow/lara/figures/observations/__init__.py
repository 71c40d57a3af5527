"""Figures of the category “observations”."""
