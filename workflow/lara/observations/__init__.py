"""Observations: the network, the one table, screening, and the operators H."""
