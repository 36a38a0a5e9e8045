"""Rows of a linear layer that a mask leaves out: none of their logits are made, on one device and
on several."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import focal_jax
import focal_torch
from focal_jax._core import linear_scan as scan_of_jax
from focal_torch._core import linear_scan as scan_of_torch
from parity_tests.contract.exact import Draws
from parity_tests.tests.sharding import ranks

ROWS, SIZE, CLASSES, CHUNK = 64, 5, 7, 8
DRAWS = Draws(0)
FEATURES, KERNEL = DRAWS.bell((ROWS, SIZE)), DRAWS.bell((CLASSES, SIZE))
IDS = DRAWS.integers(0, CLASSES, ROWS)
HALF = DRAWS.permutation(ROWS) < ROWS // 2
# A mask, and how many chunks have a row that it keeps.
MASKS = {
    "half": (HALF, 4),
    "one": (np.arange(ROWS) == 41, 1),
    "none": (np.zeros(ROWS, bool), 0),
    "all": (np.ones(ROWS, bool), ROWS // CHUNK),
}
each_mask = pytest.mark.parametrize("mask", MASKS)
each_reduction = pytest.mark.parametrize("reduction", ["sum", "none"])


def in_torch(
    features: np.ndarray, ids: np.ndarray, reduction: str, where: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    """The loss, and the gradients of its sum in features and kernel."""
    x, kernel = (torch.tensor(array, requires_grad=True) for array in (features, KERNEL))
    mask = None if where is None else torch.tensor(where)
    settings: dict[str, Any] = {"where": mask, "reduction": reduction, "chunk_size": CHUNK}
    loss = focal_torch.linear_softmax_focal_loss(x, kernel, torch.tensor(ids), **settings)
    grads = torch.autograd.grad(loss.sum(), (x, kernel))
    return loss.detach().numpy(), *(grad.numpy() for grad in grads)


def in_jax(
    features: np.ndarray, ids: np.ndarray, reduction: str, where: np.ndarray | None
) -> tuple[np.ndarray, ...]:
    settings: dict[str, Any] = {"where": where, "reduction": reduction, "chunk_size": CHUNK}

    def total(features: jax.Array, kernel: jax.Array) -> tuple[jax.Array, jax.Array]:
        loss = focal_jax.linear_softmax_focal_loss(features, kernel.T, jnp.asarray(ids), **settings)
        return loss.sum(), loss

    slope = jax.grad(total, (0, 1), has_aux=True)
    grads, loss = slope(jnp.asarray(features), jnp.asarray(KERNEL))
    return tuple(np.asarray(x) for x in (loss, *grads))


@each_mask
@each_reduction
@pytest.mark.parametrize("losses", [in_jax, in_torch])
def test_the_numbers_are_those_of_the_rows_that_are_kept(
    losses: Any, reduction: str, mask: str
) -> None:
    """To the last bit: the same chunks of the same rows."""
    where, _ = MASKS[mask]
    loss, of_features, of_kernel = losses(FEATURES, IDS, reduction, where)
    kept, kept_of_features, kept_of_kernel = losses(FEATURES[where], IDS[where], reduction, None)
    assert (of_features[~where] == 0).all()
    if losses is in_jax:
        # XLA compiles another program for another number of rows.
        rounding = 64 * np.finfo(float).eps
        np.testing.assert_allclose(of_features[where], kept_of_features, rtol=rounding)
        scale = np.abs(kept_of_kernel).max(initial=0)
        assert np.abs(of_kernel - kept_of_kernel).max() <= rounding * scale
        np.testing.assert_allclose(loss.sum(), kept.sum(), rtol=rounding)
        return
    np.testing.assert_array_equal(of_features[where], kept_of_features)
    np.testing.assert_array_equal(of_kernel, kept_of_kernel)
    np.testing.assert_array_equal(loss[where] if reduction == "none" else loss, kept)


@each_mask
@pytest.mark.parametrize("mode", ["value", "gradient", "rows"])
def test_jax_skips_chunks_without_a_row(
    mode: str, mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(*args: Any) -> Any:
        jax.debug.callback(lambda: made.append(1))
        return original(*args)

    name = "add_chunk" if mode == "gradient" else "row_losses"
    original = getattr(scan_of_jax, name)
    monkeypatch.setattr(scan_of_jax, name, counted)
    jax.clear_caches()
    where, chunks = MASKS[mask]
    settings: dict[str, Any] = {"where": where, "chunk_size": CHUNK}
    settings["reduction"] = "none" if mode == "rows" else "sum"

    def loss(features: jax.Array) -> jax.Array:
        kernel, ids = jnp.asarray(KERNEL.T), jnp.asarray(IDS)
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids, **settings)

    function = jax.grad(loss) if mode == "gradient" else loss
    jax.block_until_ready(function(jnp.asarray(FEATURES)))
    jax.effects_barrier()
    jax.clear_caches()
    assert len(made) == chunks


@each_mask
def test_torch_multiplies_the_rows_that_are_kept(
    mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counted(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        made.append(len(features))
        return original(features, kernel)

    original = scan_of_torch.logits_of
    monkeypatch.setattr(scan_of_torch, "logits_of", counted)
    where, chunks = MASKS[mask]
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))
    settings: dict[str, Any] = {"where": torch.tensor(where), "chunk_size": CHUNK}
    focal_torch.linear_softmax_focal_loss(features, kernel, ids, reduction="none", **settings)
    assert made == [where.sum() // chunks] * chunks if chunks else not made


def test_torch_keeps_the_mask_where_rows_cannot_be_counted() -> None:
    """Inside of vmap, where every example has a mask of its own."""
    masks = torch.tensor(np.stack([HALF, ~HALF]))
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))

    def loss(where: torch.Tensor) -> torch.Tensor:
        settings: dict[str, Any] = {"where": where, "chunk_size": CHUNK, "reduction": "none"}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)

    together = torch.vmap(loss)(masks)
    for row, mask in zip(together, masks, strict=True):
        torch.testing.assert_close(row, loss(mask), rtol=1e-13, atol=0)
        assert (row[~mask] == 0).all()


ON_EIGHT_DEVICES = """
import os
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=8"
import json, re
import jax
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec as P
import focal_jax
from parity_tests.contract.exact import Draws

jax.config.update("jax_enable_x64", True)
draws = Draws(0)
features, kernel = draws.bell((96, 6)), draws.bell((6, 24))
ids, where = draws.integers(0, 24, 96), draws.permutation(96) < 48
specs = P("data"), P(), P("data"), P("data")
inputs = features, kernel, ids, where

def loss(features, kernel, ids, where):
    return focal_jax.linear_softmax_focal_loss(features, kernel, ids, where=where, chunk_size=16)

slopes = jax.jit(jax.value_and_grad(loss, (0, 1)))
expected = jax.tree.leaves(slopes(*inputs))
for axes in (AxisType.Auto, AxisType.Explicit):
    mesh = jax.make_mesh((8,), ("data",), axis_types=(axes,))
    split = [jax.device_put(x, NamedSharding(mesh, spec)) for x, spec in zip(inputs, specs)]
    with jax.set_mesh(mesh):
        compiled = slopes.lower(*split).compile()
        results = jax.tree.leaves(compiled(*split))
    moved = re.findall("all-gather|all-to-all|collective-permute", compiled.as_text())
    assert not moved, moved
    for name, x, other in zip(("loss", "features", "kernel"), results, expected):
        error = float(abs(x - other).max() / abs(other).max())
        print(json.dumps(["masked", axes.name, name, error]))
"""


def test_rows_stay_on_their_devices() -> None:
    """Without a collective that moves rows, and with the gradients of one device."""
    errors = ranks.errors(ranks.jax_processes(["-c", ON_EIGHT_DEVICES]))
    assert len(errors) == 6
    assert max(error.eps for error in errors) <= 96 * 24 * np.finfo(float).eps, errors
