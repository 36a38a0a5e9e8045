"""Settings of the whole run: the strictest that JAX has, one thread per worker, and a seed that is printed."""

import hypothesis
import jax
import numpy as np
import pytest
import torch

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_platforms", "cpu")
torch.set_num_threads(1)

hypothesis.settings.register_profile("parity", deadline=None, max_examples=60, print_blob=True)
hypothesis.settings.load_profile("parity")


def pytest_report_header(config: pytest.Config) -> str:
    seed = config.getoption("--hypothesis-seed") or "random, printed on failure"
    versions = f"jax {jax.__version__}, torch {torch.__version__}, numpy {np.__version__}"
    return f"{versions}, hypothesis seed {seed}"
