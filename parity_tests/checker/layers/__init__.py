"""The layers of a check."""
