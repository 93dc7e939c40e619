"""The loop, the decisions, tracking and the shared command line."""
