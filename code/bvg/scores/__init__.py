"""Predictions → metrics with intervals; pure functions."""
