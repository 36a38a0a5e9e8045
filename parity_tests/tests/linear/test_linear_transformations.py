"""The loss of a linear layer inside what frameworks do to functions."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
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
    ids = port.array(IDS)
    features, kernel, _ = layer(port, "float64")

    def fused(features: Any) -> Any:
        settings = {"reduction": reduction, "chunk_size": 7}
        return port.module.linear_softmax_focal_loss(features, kernel, ids, **settings).sum()

    def unfused(features: Any) -> Any:
        logits = features @ (kernel if port is JAX else kernel.mT)
        return port.module.softmax_focal_loss(logits, ids, axis=-1, reduction=reduction).sum()

    hessians = hessians_of_jax if port is JAX else hessians_of_torch
    pairs = zip(hessians(fused, features), hessians(unfused, features), strict=True)
    for hessian, expected in pairs:
        result, truth = port.numpy(hessian), port.numpy(expected)
        scale = np.full_like(truth, np.abs(truth).max())
        require(result, truth, scale, 64 * EPS["float64"], "Hessian")


def hessians_of_jax(loss: Callable[[Any], Any], features: jax.Array) -> Iterator[jax.Array]:
    """Forward over reverse, and reverse over reverse."""
    for hessian in (jax.hessian(loss), jax.jacrev(jax.grad(loss))):
        yield jax.jit(hessian)(features)


def hessians_of_torch(loss: Callable[[Any], Any], features: torch.Tensor) -> Iterator[Any]:
    yield torch.func.hessian(loss)(features)
    yield torch.autograd.functional.hessian(loss, features)


def test_inside_the_transformations_of_jax() -> None:
    features, kernel, _ = layer(JAX, "float64")
    ids = jnp.asarray(IDS)

    def loss(x: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(x, kernel, ids, chunk_size=7)

    step = jax.value_and_grad(loss)
    value, slope = step(features)
    both = jnp.stack([features, 2 * features])
    checkpointed = jax.value_and_grad(jax.checkpoint(loss))
    _, scanned = jax.lax.scan(lambda _, x: (0, step(x)), 0, both)
    mapped = jax.vmap(step)(both)
    for values, slopes in (mapped, scanned, jax.lax.map(checkpointed, both)):
        assert_allclose(values[0], value, rtol=8 * EPS["float64"])
        assert_allclose(slopes[0], slope, rtol=1e-12)
    _, directional = jax.jvp(loss, (features,), (features,))
    assert_allclose(directional, (slope * features).sum(), rtol=1e-12)

    def of_gamma(gamma: jax.Array) -> jax.Array:
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids, gamma=gamma)

    losses = jax.vmap(of_gamma)(jnp.array([0.0, 2.0]))
    assert_allclose(losses[1], value, rtol=8 * EPS["float64"])


class Layer(NamedTuple):
    """A loss of a linear layer in PyTorch, and what is differentiated in it."""

    loss: Callable[..., torch.Tensor]
    leaves: list[torch.Tensor]

    def grads(self, loss: Callable[..., torch.Tensor] | None = None) -> tuple[torch.Tensor, ...]:
        """Of the sum of its elements, or of those of another loss."""
        elements = (loss or self.loss)(*self.leaves)
        return torch.autograd.grad(elements.sum(), self.leaves)


def torch_layer(reduction: str, dtype: str = "float64") -> Layer:
    ids = torch.tensor(IDS)

    def loss(features: torch.Tensor, kernel: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        settings = {"bias": bias, "reduction": reduction, "chunk_size": 7}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)

    return Layer(loss, [x.requires_grad_() for x in layer(TORCH, dtype)])


def same_bits(tensors: Iterable[Any], expected: Iterable[torch.Tensor]) -> None:
    for one, other in zip(tensors, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_compiled_pytorch_has_one_graph_and_the_same_numbers(reduction: str) -> None:
    linear = torch_layer(reduction, "float32")
    compiled = torch.compile(linear.loss, fullgraph=True)
    same_bits(linear.grads(compiled), linear.grads())
    with torch.no_grad():
        losses = compiled(*linear.leaves)
        same_bits([losses], [linear.loss(*linear.leaves)])


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_autocast_is_what_a_call_in_its_dtype_is(reduction: str) -> None:
    ids = torch.tensor(IDS)
    features, kernel, _ = layer(TORCH, "float32")
    leaves = features.requires_grad_(), kernel.requires_grad_()
    settings: dict[str, Any] = {"reduction": reduction, "chunk_size": 7}
    loss_of = focal_torch.linear_softmax_focal_loss
    with torch.autocast("cpu", torch.bfloat16):
        loss = loss_of(features, kernel, ids, **settings)
    expected = loss_of(features.bfloat16(), kernel.bfloat16(), ids, **settings)
    assert loss.dtype == torch.float32
    grads = torch.autograd.grad(loss.sum(), leaves)
    same_bits(grads, torch.autograd.grad(expected.sum(), leaves))


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_checkpoints_of_pytorch(reduction: str, reentrant: bool) -> None:
    """One that is not reentrant gives what was saved once, and not again."""
    linear = torch_layer(reduction)
    expected = linear.grads()
    losses = checkpoint(linear.loss, *linear.leaves, use_reentrant=reentrant)
    losses.sum().backward()
    # A checkpoint runs the same operations once more, so the bits are the same.
    same_bits([leaf.grad for leaf in linear.leaves], expected)


def test_saved_tensors_can_be_read_once_inside_a_checkpoint() -> None:
    """What the test above relies on."""

    class Twice(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            ctx.save_for_backward(x)
            return x * 1

        @staticmethod
        def backward(ctx: Any, *cotangents: torch.Tensor) -> torch.Tensor:
            first_read = len(ctx.saved_tensors)
            return cotangents[0] * first_read * len(ctx.saved_tensors)

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
    loss, leaves = torch_layer(reduction)
    stopped = Stopped.apply(loss(*leaves)).sum()
    grad = partial(torch.autograd.grad, stopped, leaves, allow_unused=True, retain_graph=True)
    for create_graph in (False, True):
        grads = grad(create_graph=create_graph)
        assert all(x is None or not x.any() for x in grads)


@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_derivatives_are_what_differences_say(reduction: str) -> None:
    """This also asks for gradients where what follows has none."""
    ids = torch.tensor([0, 8, 4])
    draws = Draws(0)
    features = torch.tensor(draws.bell((3, 2)), requires_grad=True)
    kernel = torch.tensor(draws.bell((9, 2)), requires_grad=True)
    inputs = (features, kernel)

    def loss(features: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
        settings = {"reduction": reduction, "chunk_size": 2}
        return focal_torch.linear_softmax_focal_loss(features, kernel, ids, **settings)

    assert torch.autograd.gradcheck(loss, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(loss, inputs)


@pytest.mark.parametrize("masked", [slow(False), True])
@pytest.mark.parametrize("reduction", ["none", slow("sum"), slow("mean")])
def test_jax_exports_an_open_number_of_rows(reduction: str, masked: bool) -> None:
    (rows,) = jax.export.symbolic_shape("rows")

    def loss(features: jax.Array, kernel: jax.Array, ids: jax.Array, where: jax.Array) -> jax.Array:
        settings = {"where": where if masked else None, "reduction": reduction}
        return focal_jax.linear_softmax_focal_loss(features, kernel, ids, **settings).sum()

    step = jax.jit(jax.value_and_grad(loss, (0, 1)))
    features, kernel, _ = layer(JAX, "float64")
    ids = jnp.asarray(IDS)
    where = ids % 2 == 0
    open_features = jax.ShapeDtypeStruct((rows, features.shape[1]), features.dtype)
    open_ids = jax.ShapeDtypeStruct((rows,), ids.dtype)
    open_where = jax.ShapeDtypeStruct((rows,), bool)
    export = jax.export.export(step, platforms=("cpu", "cuda", "tpu"))
    exported = export(open_features, kernel, open_ids, open_where)
    for size in (1, len(IDS)):
        inputs = features[:size], kernel, ids[:size], where[:size]
        results = jax.tree.leaves(exported.call(*inputs))
        for result, expected in zip(results, jax.tree.leaves(step(*inputs)), strict=True):
            # Exported rows are one chunk, so that sums are in another order, and terms of a slope
            # may cancel.
            assert_allclose(result, expected, rtol=1e-12, atol=0)


def test_jax_names_the_chunk_size_that_an_open_number_of_rows_cannot_have() -> None:
    (rows,) = jax.export.symbolic_shape("rows")
    features, kernel, _ = layer(JAX, "float64")
    loss = jax.jit(lambda x, t: focal_jax.linear_softmax_focal_loss(x, kernel, t, chunk_size=7))
    open_features = jax.ShapeDtypeStruct((rows, features.shape[1]), features.dtype)
    open_ids = jax.ShapeDtypeStruct((rows,), jnp.int32)
    message = r"chunk_size=\.\.\.\): expected None for the open shape \(rows,\), got 7"
    with pytest.raises(ValueError, match=message):
        jax.export.export(loss)(open_features, open_ids)
