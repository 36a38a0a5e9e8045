"""Whether focal_jax and focal_torch run with the versions of Python, NumPy, JAX, Flax and PyTorch
that they ask for."""
