"""Stage `observations`: simulated, screened, and read as an analysis is given them."""
