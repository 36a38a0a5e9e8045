"""The public implementations, judged."""
