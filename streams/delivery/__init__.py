"""How results, dead letters and offsets reach the broker: at least once, or exactly once."""
