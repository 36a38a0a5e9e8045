"""Layer 7, errors: a bad call raises the same class with the same text in both packages, before any
arithmetic."""
# ruff: noqa: E501 (a message stands here as it is printed)

import re
from typing import Any

import jax
import numpy as np
import pytest
import torch

from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages

from .error_cases import CASES, NAN, T, Y, Z, bad


def call(port: Port, function: str, logits: Any, targets: Any, settings: dict[str, Any]) -> Any:
    def convert(x: Any) -> Any:
        return port.array(x) if isinstance(x, np.ndarray) else x

    axis = {"axis": 1} if function == "softmax_focal_loss" else {}
    arguments = axis | {name: convert(x) for name, x in settings.items()}
    return getattr(port.module, function)(convert(logits), convert(targets), **arguments)


@both_packages
@pytest.mark.parametrize(("function", "logits", "targets", "settings", "error", "text"), CASES)
def test_the_full_text(
    port: Port,
    function: str,
    logits: Any,
    targets: Any,
    settings: Any,
    error: type[Exception],
    text: str,
) -> None:
    with pytest.raises(error) as caught:
        call(port, function, logits, targets, settings)
    assert type(caught.value) is error
    assert str(caught.value) == f"{function}({text}"


@both_packages
def test_weighted_focal_loss_takes_hard_targets_only(port: Port) -> None:
    text = "WeightedFocalLoss(targets=...): expected values 0 or 1, got 0.5 at (0,). For soft targets call sigmoid_focal_loss."
    with pytest.raises(ValueError, match=f"^{re.escape(text)}$"):
        port.module.WeightedFocalLoss()(port.array(Z[:, 0]), port.array(Y[:, 0] + 0.5))


@both_packages
def test_masked_values_are_not_checked(port: Port) -> None:
    mask = np.ones((8, 4), bool)
    mask[2, 3] = False
    call(port, "sigmoid_focal_loss", Z, bad((2, 3), NAN), {"where": mask})
    call(port, "softmax_focal_loss", Z, bad((5,), -100, T), {"where": np.arange(8) != 5})


def test_what_cannot_be_known_is_nan_and_never_another_class() -> None:
    ids = np.array([0, 4, -1, 7, 3, 0, 0, 0])
    for smoothing in (0.0, 0.1):
        settings = {"axis": 1, "label_smoothing": smoothing}
        compiled = jax.jit(lambda z, t, s=settings: JAX.module.softmax_focal_loss(z, t, **s))(
            Z, ids
        )
        mapped = torch.func.vmap(
            lambda z, t, s=settings: TORCH.module.softmax_focal_loss(z, t, **s | {"axis": 0})
        )
        for loss in (np.asarray(compiled), mapped(torch.tensor(Z), torch.tensor(ids)).numpy()):
            np.testing.assert_array_equal(np.isnan(loss), (ids < 0) | (ids > 3))
    soft = jax.jit(JAX.module.WeightedFocalLoss())(Z[:, 0], Y[:, 0] + 0.5)
    assert np.isnan(soft)
