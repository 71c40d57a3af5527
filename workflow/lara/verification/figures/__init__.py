"""Pure drawing: each module takes saved arrays and its `draw` returns a matplotlib Figure."""
