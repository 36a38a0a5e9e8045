"""What the losses are written in: tensors, derivatives, sharding, arguments and reductions."""
