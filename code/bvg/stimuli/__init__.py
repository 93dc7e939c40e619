"""Decoded images → the conditions under which models see them."""
