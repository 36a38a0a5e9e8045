"""From logits to the margin, from the margin to f, from f to the losses."""
