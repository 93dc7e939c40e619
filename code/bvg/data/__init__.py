"""Folders on disk → ordered, labelled, decoded uint8 crops."""
