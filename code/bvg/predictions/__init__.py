"""The predictions on disk: their format, and folders that survive a kill."""
