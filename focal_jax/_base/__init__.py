"""What the losses are written in: arrays, derivatives, sharding, arguments and reductions."""
