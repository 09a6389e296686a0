"""The One step page."""
