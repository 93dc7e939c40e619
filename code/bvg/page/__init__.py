"""The page that report.py writes."""
