"""Training on the Caravan data: in Flax NNX, Linen and PyTorch, and sharded over devices."""
