"""How good an analysis or a forecast is: scores, departures from observations, significance, figures."""
