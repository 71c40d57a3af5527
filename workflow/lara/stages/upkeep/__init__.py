"""Upkeep of what a run has left: all of it proven whole, and what no configuration names any more removed."""
