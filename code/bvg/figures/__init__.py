"""Figures of a run: what one benchmark's results look like."""
