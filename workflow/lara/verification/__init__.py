"""Verification of analyses and forecasts: scores, departures from observations, significance, figures."""
