"""Results of many models and benchmarks → one table."""
