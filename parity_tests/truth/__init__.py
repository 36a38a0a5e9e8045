"""What is right, in arbitrary precision."""
