"""Values out of range, where they are checked and where they cannot be."""
