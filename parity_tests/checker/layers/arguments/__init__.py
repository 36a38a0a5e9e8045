"""Derivatives in other arguments than the logits."""
