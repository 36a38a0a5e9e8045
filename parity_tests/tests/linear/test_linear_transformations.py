"""The loss of a linear layer inside what frameworks do to functions, and the memory that it
takes."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import CheckpointError, checkpoint

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages, slow

from .linear_layer import IDS, layer, require


@both_packages
@pytest.mark.parametrize("reduction", [slow("none"), "mean"])
def test_second_derivatives(port: Port, reduction: str) -> None:
    ids, (features, kernel, _) = port.array(IDS), layer(port, "float64")

    def loss(features: Any) -> Any:
        given = {"reduction": reduction, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **given).sum()

    def plain(features: Any) -> Any:
        logits = features @ (kernel if port is JAX else kernel.mT)
        return port.module.softmax_focal_loss(logits, ids, axis=-1, reduction=reduction).sum()

    if port is JAX:
        ways: list[Any] = [
            lambda f: jax.jit(jax.hessian(f)),
            lambda f: jax.jit(jax.jacrev(jax.grad(f))),
        ]
    else:
        ways = [torch.func.hessian, lambda f: lambda x: torch.autograd.functional.hessian(f, x)]
    for way in ways:
        got, truth = (port.numpy(way(f)(features)) for f in (loss, plain))
        require(
            got, truth, np.full_like(truth, np.abs(truth).max()), 64 * EPS["float64"], "Hessian"
        )


def test_inside_the_transformations_of_jax() -> None:
    features, kernel, _ = layer(JAX, "float64")

    def loss(x: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(x, kernel, jnp.asarray(IDS), chunk_size=7)

    value, slope = jax.value_and_grad(loss)(features)
    both = jnp.stack([features, 2 * features])
    results = [
        jax.vmap(jax.value_and_grad(loss))(both),
        jax.lax.scan(lambda _, x: (0, jax.value_and_grad(loss)(x)), 0, both)[1],
        jax.lax.map(jax.value_and_grad(jax.checkpoint(loss)), both),
    ]
    for found in results:
        np.testing.assert_allclose(found[0][0], value, rtol=8 * EPS["float64"])
        np.testing.assert_allclose(found[1][0], slope, rtol=1e-12)
    np.testing.assert_allclose(
        jax.jvp(loss, (features,), (features,))[1], (slope * features).sum(), rtol=1e-12
    )
    several = jax.vmap(
        lambda g: focal_jax.linear_softmax_focal_loss(features, kernel, jnp.asarray(IDS), gamma=g)
    )
    np.testing.assert_allclose(several(jnp.array([0.0, 2.0]))[1], value, rtol=8 * EPS["float64"])


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_compiled_pytorch_has_one_graph_and_the_same_numbers(reduction: str) -> None:
    ids, (features, kernel, bias) = (
        torch.tensor(IDS),
        (x.requires_grad_() for x in layer(TORCH, "float32")),
    )

    def loss(features: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        given = {"reduction": reduction, "chunk_size": 7}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, bias=bias, **given)

    compiled = torch.compile(loss, fullgraph=True)
    for got, expected in zip(
        *(
            torch.autograd.grad(f(features, kernel, bias).sum(), (features, kernel, bias))
            for f in (compiled, loss)
        ),
        strict=True,
    ):
        torch.testing.assert_close(got, expected, rtol=0, atol=0)
    with torch.no_grad():
        torch.testing.assert_close(
            compiled(features, kernel, bias), loss(features, kernel, bias), rtol=0, atol=0
        )


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_autocast_is_what_a_call_in_its_dtype_is(reduction: str) -> None:
    ids, leaves = torch.tensor(IDS), [x.requires_grad_() for x in layer(TORCH, "float32")[:2]]

    def loss(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        return focal_torch.linear_softmax_focal_loss(
            features, kernel, ids, reduction=reduction, chunk_size=7
        )

    with torch.autocast("cpu", torch.bfloat16):
        got = loss(*leaves)
    expected = loss(*(x.bfloat16() for x in leaves))
    assert got.dtype == (torch.bfloat16 if reduction == "none" else torch.float32)
    for one, other in zip(
        *(torch.autograd.grad(x.sum(), leaves) for x in (got, expected)), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


def torch_loss(reduction: str) -> tuple[Callable[..., torch.Tensor], list[torch.Tensor]]:
    """A loss of a linear layer in float64, and what is differentiated in it."""
    ids, leaves = torch.tensor(IDS), [x.requires_grad_() for x in layer(TORCH, "float64")]

    def loss(features: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        given = {"reduction": reduction, "chunk_size": 7}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, bias=bias, **given)

    return loss, leaves


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_checkpoints_of_pytorch(reduction: str, reentrant: bool) -> None:
    """One that is not reentrant gives what was saved once, and not again."""
    loss, leaves = torch_loss(reduction)
    expected = torch.autograd.grad(loss(*leaves).sum(), leaves)
    checkpoint(loss, *leaves, use_reentrant=reentrant).sum().backward()
    # A checkpoint runs the same operations once more, so the bits are the same.
    for leaf, slope in zip(leaves, expected, strict=True):
        torch.testing.assert_close(leaf.grad, slope, rtol=0, atol=0)


def test_saved_tensors_can_be_read_once_inside_a_checkpoint() -> None:
    """What the test above relies on."""

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x * 1

        @staticmethod
        def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
            return cotangents[0] * len(ctx.saved_tensors) * len(ctx.saved_tensors)

    x = torch.ones(2, requires_grad=True)
    with pytest.raises(CheckpointError):
        checkpoint(Twice.apply, x, use_reentrant=False).sum().backward()


class Stopped(torch.autograd.Function):
    """The identity, with None as its gradient."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 1

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> None:
        return None


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_no_gradient_of_what_follows_the_loss(reduction: str) -> None:
    loss, leaves = torch_loss(reduction)
    stopped = Stopped.apply(loss(*leaves)).sum()
    for create_graph in (False, True):
        found = torch.autograd.grad(
            stopped, leaves, allow_unused=True, retain_graph=True, create_graph=create_graph
        )
        assert all(x is None or not x.any() for x in found)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_derivatives_are_what_differences_say(reduction: str) -> None:
    """This also asks for gradients where what follows has none."""
    ids = torch.tensor([0, 8, 4])
    draws = Draws(0)
    features, kernel = (
        torch.tensor(draws.bell(shape), requires_grad=True) for shape in ((3, 2), (9, 2))
    )

    def loss(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        given = {"reduction": reduction, "chunk_size": 2}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **given)

    assert torch.autograd.gradcheck(
        loss, (features, kernel), check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(loss, (features, kernel))


@pytest.mark.parametrize("masked", [slow(False), True])
@pytest.mark.parametrize("reduction", ["none", slow("sum"), slow("mean")])
def test_jax_exports_an_open_number_of_rows(reduction: str, masked: bool) -> None:
    (rows,) = jax.export.symbolic_shape("rows")

    def loss(features: jax.Array, kernel: jax.Array, ids: jax.Array, where: jax.Array) -> jax.Array:
        mask = where if masked else None
        return focal_jax.linear_softmax_focal_loss(
            features, kernel, ids, where=mask, reduction=reduction
        ).sum()

    slopes = jax.jit(jax.value_and_grad(loss, (0, 1)))
    features, kernel, _ = layer(JAX, "float64")
    given = features, kernel, jnp.asarray(IDS), jnp.asarray(IDS) % 2 == 0
    shapes = [(rows, features.shape[1]), kernel.shape, (rows,), (rows,)]
    structs = (jax.ShapeDtypeStruct(shape, x.dtype) for shape, x in zip(shapes, given, strict=True))
    exported = jax.export.export(slopes, platforms=("cpu", "cuda", "tpu"))(*structs)
    for size in (1, len(IDS)):
        args = [x if x is kernel else x[:size] for x in given]
        for got, expected in zip(
            *(jax.tree.leaves(f(*args)) for f in (exported.call, slopes)), strict=True
        ):
            # Exported rows are one chunk, so that sums are in another order, and terms of a slope
            # may cancel.
            np.testing.assert_allclose(got, expected, rtol=1e-12, atol=0)


def test_jax_names_the_chunk_size_that_an_open_number_of_rows_cannot_have() -> None:
    (rows,) = jax.export.symbolic_shape("rows")
    features, kernel, _ = layer(JAX, "float64")
    loss = jax.jit(lambda x, t: focal_jax.linear_softmax_focal_loss(x, kernel, t, chunk_size=7))
    structs = (
        jax.ShapeDtypeStruct((rows, features.shape[1]), features.dtype),
        jax.ShapeDtypeStruct((rows,), jnp.int32),
    )
    with pytest.raises(
        ValueError, match=r"chunk_size=\.\.\.\): expected None for the open shape \(rows,\), got 7"
    ):
        jax.export.export(loss)(*structs)


def temporaries(function: Callable[..., Any], rows: int) -> int:
    shapes = (rows, 64), (64, 4096)
    arrays = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    ids = jax.ShapeDtypeStruct((rows,), jnp.int32)
    compiled = jax.jit(jax.value_and_grad(function, (0, 1))).lower(*arrays, ids).compile()
    memory = compiled.memory_analysis()
    assert memory is not None
    return memory.temp_size_in_bytes


def test_the_memory_of_jax_grows_with_the_chunk() -> None:
    def chunked(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids)

    def whole(features: jax.Array, kernel: jax.Array, ids: jax.Array) -> jax.Array:
        return focal_jax.softmax_focal_loss(features @ kernel, ids, reduction="mean")

    few, many = (temporaries(chunked, rows) for rows in (2048, 8192))
    assert few <= temporaries(whole, 2048) / 8
    # Besides the chunk there are three copies of the features, no logits.
    assert many - few <= 4 * (8192 - 2048) * 64 * 4


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    size = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        returned = found if isinstance(found, tuple | list) else [found]
        self.size = max([self.size, *(x.numel() for x in returned if isinstance(x, torch.Tensor))])
        return found


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_pytorch_makes_no_tensor_larger_than_a_chunk(reduction: str) -> None:
    draws = Draws(0)
    features, kernel = (
        torch.tensor(draws.bell((rows, 16)), requires_grad=True) for rows in (256, 500)
    )
    ids = torch.tensor(draws.integers(0, 500, 256))
    with Largest() as largest:
        loss = focal_torch.linear_softmax_focal_loss(
            features, kernel, ids, reduction=reduction, chunk_size=32
        )
        loss.sum().backward()
    assert largest.size == 32 * 500
    with Largest() as largest:
        focal_torch.softmax_focal_loss(
            features @ kernel.mT, ids, reduction=reduction
        ).sum().backward()
    assert largest.size == 256 * 500
