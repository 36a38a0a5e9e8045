"""The public functions inside the tools that people use."""
