"""What `examples.calibration_jax` judges and how, without a framework: data, metrics, tables and
the picture."""
