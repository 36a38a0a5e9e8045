"""Training on imbalanced data in both frameworks, and the figures."""
