"""Every float32 logit."""
