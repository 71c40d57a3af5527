"""Figures of the category “forecasts”."""
