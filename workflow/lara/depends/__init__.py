"""What depends on what: one answer for the rules, which plan by it, and for archives and restarts, which state it."""
