"""The command line, evaluate (the loop), decisions, provenance, W&B."""
