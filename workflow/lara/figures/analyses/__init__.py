"""Figures of the category “analyses”."""
