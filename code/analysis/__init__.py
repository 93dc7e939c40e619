"""Scores → figures and statistics."""
