"""What a check says, and in which forms."""
