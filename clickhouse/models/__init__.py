"""Data-driven attribution: who earned the conversions of a period, computed from all paths of it at once. Pure."""
