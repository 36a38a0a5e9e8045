"""Programs compiled for accelerators that are not there, and the memory that they move."""
