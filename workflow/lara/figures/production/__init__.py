"""Figures of the category “production”."""
