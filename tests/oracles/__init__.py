"""Slow, obviously right versions of what the project computes, straight from the definitions."""
