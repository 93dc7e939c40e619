"""Statistics of a table of models."""
