"""The family of focal losses: what others compute, one picture, and a peak that was missed."""
