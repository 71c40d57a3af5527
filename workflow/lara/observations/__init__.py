"""Who observes what, the one table of observations, and H."""
