"""The seeded samples at which recipes are compared with their oracle."""

import numpy as np

from .exact import Draws
from .tolerances import DTYPES

# A table of samples: the names of its columns, and a row for each.
Samples = tuple[tuple[str, ...], np.ndarray]


def samples(dtype: str) -> dict[str, list[Samples]]:
    """Function -> seeded samples in the numbers that the dtype has."""
    draws = Draws(0)
    tail = draws.decades(-7, -1, 12)
    priors = np.concatenate(
        [[1e-30, 0.01, 0.4999, 0.5001], tail, 1 - tail, draws.uniform(0.1, 0.9, 12)]
    )
    counts = np.floor(draws.decades(0, 7, (40, 4)))
    betas = np.resize([0.0, 0.5, 0.99, 0.9999, 1.0], 40)
    p_t = np.concatenate([[0.0, 0.2, 1.0], draws.uniform(0, 1, 13)])
    flsd = np.stack(
        [p_t, *(np.resize(x, 16) for x in ([0.2, 0.2, 0.5], [5.0, 5.0, 2.7], [3.0, 3.0, 0.1]))], -1
    )
    scales = np.resize([0.1, 1.0, 8.0, 30.0], 40)
    one = np.stack([draws.bell(40) * scales, draws.choice([0, 0.5, 1, 2, 5], 40)], -1)
    many = np.column_stack(
        [draws.bell((40, 3)) * scales[:, None], draws.choice([0, 0.5, 1, 2, 5], 40)]
    )
    tables: dict[str, list[Samples]] = {
        "prior_bias": [(("pi",), priors[:, None])],
        "alpha_from_counts": [
            (("counts0", "counts1", "counts2", "counts3", "beta"), np.column_stack([counts, betas]))
        ],
        "gamma_flsd": [(("p_t", "threshold", "below", "above"), flsd)],
        "posterior_from_focal": [
            (("logits", "gamma"), one),
            (("logits0", "logits1", "logits2", "gamma"), many),
        ],
    }
    return {
        name: [(names, points.astype(DTYPES[dtype]).astype(float)) for names, points in group]
        for name, group in tables.items()
    }
