"""A whole study: its cells, what becomes of them, and where they run."""
