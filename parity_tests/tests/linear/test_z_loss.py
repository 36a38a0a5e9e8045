"""The z-loss of a linear layer where logits are infinite. Its numbers are among those of the other
settings."""

from typing import Any

import numpy as np

from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS, SOFTMAX
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages

from .linear_layer import require


@both_packages
def test_a_z_loss_of_infinite_logits_counts_where_it_has_a_weight(port: Port) -> None:
    """A row has a logit of inf and a weight of 0; then no row is kept, and a bias is inf."""
    features = np.array([[3e38, 1.0], [1.0, 2.0]], np.float32)
    kernel = np.array([[3.0, -1.0, 0.5], [0.0, 1.0, 1.0]], np.float32)
    settings = {"z_loss": 0.25, "reduction": "none", "chunk_size": 1}
    none, bias = np.zeros(2, bool), np.array([np.inf, 0, 0], np.float32)
    infinite = {"where": port.array(none), "bias": port.array(bias)}
    weighted = {"weight": port.array(np.array([0, 1], np.float32))}

    def slopes(rows: slice, options: dict[str, Any]) -> np.ndarray:
        x, ids = port.array(features[rows]), port.array(np.array([0, 1])[rows])

        def loss(flat: Any) -> Any:
            w = flat.reshape(2, 3) if port is JAX else flat.reshape(2, 3).mT
            return port.module.linear_softmax_focal_loss(x, w, ids, **settings, **options)

        # Of the first row nothing is counted, its loss neither.
        losses = port.numpy(loss(port.array(kernel.ravel())))
        assert not losses[:-1].any()
        return port.gradient(loss, kernel.ravel())

    alone = slopes(slice(1, 2), {})
    assert np.abs(alone).min() > 0
    # Another number of chunks is another program.
    allowed = EPS["float32"] * SOFTMAX
    require(slopes(slice(2), weighted), alone, np.abs(alone), allowed, "gradient in kernel")
    assert not slopes(slice(2), infinite).any()
