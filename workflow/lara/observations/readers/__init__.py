"""Readers of observation files: what others have written, as reports."""
