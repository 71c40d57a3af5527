"""Dependencies of results: one answer for the rules, which plan by it, and for archives and restarts that state it."""
