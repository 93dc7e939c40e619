"""Names → models."""
