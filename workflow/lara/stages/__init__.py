"""Stages of the journey from an atmosphere to a verified reanalysis: what the rules of the same names run."""
