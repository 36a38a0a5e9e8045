"""What `examples.large_vocabulary` is trained on, with which settings, and what it prints."""
