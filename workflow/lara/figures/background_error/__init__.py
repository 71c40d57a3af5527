"""Figures of the category “background error”."""
