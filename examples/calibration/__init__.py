"""What `examples.calibration_jax` judges and how, without any framework: data, metrics, temperature, tables, picture."""
