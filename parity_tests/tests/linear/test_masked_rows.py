"""Rows of a linear layer that a mask leaves out: where their logits are not made, and that the
numbers are right."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, PartitionSpec
from torch.fx.experimental.proxy_tensor import make_fx

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
# A mask, and how many chunks the rows that it keeps fill.
MASKS = {
    "half": (HALF, 4),
    "one": (np.arange(ROWS) == 41, 1),
    "few": (np.arange(ROWS) % 5 == 3, 2),
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
    """But for the rounding of products of matrices, which depends on where their rows begin."""
    where, _ = MASKS[mask]
    loss, of_features, of_kernel = losses(FEATURES, IDS, reduction, where)
    kept, kept_of_features, kept_of_kernel = losses(FEATURES[where], IDS[where], reduction, None)
    assert (of_features[~where] == 0).all()
    rounding = 64 * np.finfo(float).eps
    np.testing.assert_allclose(of_features[where], kept_of_features, rtol=rounding)
    scale = np.abs(kept_of_kernel).max(initial=0)
    assert np.abs(of_kernel - kept_of_kernel).max() <= rounding * scale
    of_kept = loss[where] if reduction == "none" else loss
    np.testing.assert_allclose(of_kept, kept, rtol=rounding)


@each_mask
@pytest.mark.parametrize("mode", ["value", "gradient", "rows"])
def test_jax_skips_chunks_without_a_row(
    mode: str, mask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not for the loss of each row, where the gradient of a skipped chunk would take more."""
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
    assert len(made) == (ROWS // CHUNK if mode == "rows" else chunks)


@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_second_derivatives_of_jax_on_a_mesh_and_without_one(reduction: str) -> None:
    kernel, ids, where = jnp.asarray(KERNEL.T), jnp.asarray(IDS), jnp.asarray(HALF)
    features = jnp.asarray(FEATURES)
    settings: dict[str, Any] = {"where": where, "reduction": reduction}

    def fused(features: jax.Array, ids: jax.Array, where: jax.Array) -> jax.Array:
        given = settings | {"where": where, "chunk_size": CHUNK}
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids, **given).sum()

    def unfused(features: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(features @ kernel, ids, **settings).sum()

    def curvature(loss: Any, features: jax.Array, *others: jax.Array) -> jax.Array:
        slope = jax.grad(lambda x: (jax.grad(loss)(x, *others) ** 2).sum())
        return slope(features)

    expected = curvature(unfused, features)
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Auto,))
    split = jax.shard_map(
        partial(curvature, fused),
        mesh=mesh,
        in_specs=PartitionSpec("data"),
        out_specs=PartitionSpec("data"),
    )
    allowed = 1e3 * np.finfo(float).eps * np.abs(expected).max()
    for result in (curvature(fused, features, ids, where), split(features, ids, where)):
        assert np.abs(result - expected).max() <= allowed


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
    assert sum(made) == where.sum()
    # Of nothing an empty chunk is left, so that there is a graph.
    assert len(made) == max(chunks, 1)
    assert max(made) - min(made) <= 1


def test_torch_keeps_the_mask_where_rows_cannot_be_counted() -> None:
    """Inside of vmap, where every example has a mask of its own."""
    masks = torch.tensor(np.stack([HALF, ~HALF]))
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))

    def loss(where: torch.Tensor) -> torch.Tensor:
        settings: dict[str, Any] = {"where": where, "chunk_size": CHUNK, "reduction": "none"}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)

    together = torch.vmap(loss)(masks)
    # Other chunks are other sums, each rounded a few times.
    for row, mask in zip(together, masks, strict=True):
        torch.testing.assert_close(row, loss(mask), rtol=1e-13, atol=0)
        assert (row[~mask] == 0).all()


def test_torch_keeps_the_mask_in_a_program() -> None:
    """Of the operations of one mask, which another may be given to."""
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))

    def loss(where: torch.Tensor) -> torch.Tensor:
        settings: dict[str, Any] = {"where": where, "chunk_size": CHUNK, "reduction": "none"}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)

    program = make_fx(loss)(torch.tensor(HALF))
    everything = torch.ones(ROWS, dtype=torch.bool)
    torch.testing.assert_close(program(everything), loss(everything), rtol=1e-13, atol=0)


@each_reduction
def test_torch_has_second_derivatives_where_nothing_is_kept(reduction: str) -> None:
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))
    features.requires_grad_()
    nothing = torch.zeros(ROWS, dtype=torch.bool)
    settings: dict[str, Any] = {"where": nothing, "chunk_size": CHUNK, "reduction": reduction}
    loss = focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings).sum()
    (slope,) = torch.autograd.grad(loss, features, create_graph=True)
    (curvature,) = torch.autograd.grad((slope**2).sum(), features)
    assert (slope == 0).all()
    assert (curvature == 0).all()


def test_torch_takes_a_bias_of_more_digits() -> None:
    features, kernel, ids = (torch.tensor(x) for x in (FEATURES, KERNEL, IDS))
    bias = torch.tensor(DRAWS.integers(-8, 9, CLASSES) / 4)
    settings: dict[str, Any] = {"bias": bias, "chunk_size": CHUNK, "reduction": "none"}
    loss = partial(focal_torch.linear_softmax_focal_loss, features.float(), kernel.float(), ids)
    whole, half = loss(**settings), loss(where=torch.tensor(HALF), **settings)
    assert half.dtype == whole.dtype == torch.float64
    np.testing.assert_allclose(half.numpy()[HALF], whole.numpy()[HALF], rtol=1e-6)


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
    added_up = re.findall(r"f64\\[6,24\\]\\S* all-reduce", compiled.as_text())
    assert len(added_up) <= 1, added_up
    for name, x, other in zip(("loss", "features", "kernel"), results, expected):
        error = float(abs(x - other).max() / abs(other).max())
        print(json.dumps(["masked", axes.name, name, error]))
"""


def test_rows_stay_on_their_devices() -> None:
    """Without a collective that moves rows, with the kernel's gradient added up once, and with the
    gradients of one device."""
    errors = ranks.errors(ranks.jax_processes(["-c", ON_EIGHT_DEVICES]))
    assert len(errors) == 6
    assert max(error.eps for error in errors) <= 96 * 24 * np.finfo(float).eps, errors
