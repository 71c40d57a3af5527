"""Stage `verification`: scores of a run and what is told from them."""
