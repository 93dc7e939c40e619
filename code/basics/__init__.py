"""Errors, files and downloads: what every other room stands on."""
