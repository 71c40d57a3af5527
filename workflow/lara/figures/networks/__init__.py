"""Figures of the category “networks”."""
