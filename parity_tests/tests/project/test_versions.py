"""What is not public, or not in all versions of a framework, is reached in one file, which does
without it as well."""

import ast
import inspect
import runpy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from torch import Tensor
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import focal_jax
import focal_torch
import focal_torch._base.versions
from parity_tests.contract.exact import Draws, spaced
from parity_tests.tests import ROOT
from parity_tests.tests.parametrize import slow

from .extras_closure import PROJECT
from .test_private_names import is_private


def looked_up() -> list[tuple[str, str]]:
    """Module and name of all that focal_torch/_base/versions.py looks up when it is imported."""
    pairs: list[tuple[str, str]] = []
    for node in ast.walk(ast.parse(inspect.getsource(focal_torch._base.versions))):
        match node:
            case ast.Call(func=ast.Name(id="_optional"), args=[module, name]):
                pairs.append((ast.literal_eval(module), ast.literal_eval(name)))
            case _:
                pass
    return pairs


@contextmanager
def without(module: str, name: str) -> Iterator[None]:
    """focal_torch in a PyTorch that lacks a name: what a new import of its file of versions
    finds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr(import_module(module), name)
        names = runpy.run_path(focal_torch._base.versions.__file__)
    (missing,) = (key for key, value in names.items() if is_private(key) and value is None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(focal_torch._base.versions, missing, None)
        yield


IDS = torch.tensor([0, 2, 1, 2])
DRAWS = Draws(0)
LOGITS = torch.tensor(DRAWS.bell((4, 3)) * 3)
KERNEL = torch.tensor(DRAWS.bell((5, 3)))
Loss = Callable[[Tensor], Tensor]


def sigmoid(z: Tensor) -> Tensor:
    y = (z > 0).double() * 0.5
    return focal_torch.sigmoid_focal_loss(z, y, reduction="mean")


def softmax(z: Tensor) -> Tensor:
    return focal_torch.softmax_focal_loss(z, IDS, reduction="mean")


def linear(z: Tensor) -> Tensor:
    return focal_torch.linear_softmax_focal_loss(z, KERNEL, IDS, chunk_size=3)


LOSSES: dict[str, Loss] = {"sigmoid": sigmoid, "softmax": softmax, "linear": linear}


def results(loss: Loss) -> dict[str, Tensor]:
    """Values and derivatives of all that does not need forward mode of torch.func."""
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    grad = torch.func.grad(loss)
    second = torch.func.jacrev(torch.func.jacrev(loss))
    return {
        "value": loss(LOGITS),
        "grad": grad(LOGITS),
        "vmap": torch.func.vmap(grad)(torch.stack([LOGITS, 2 * LOGITS])),
        "reverse over reverse": second(LOGITS),
        "dual": tangent(loss),
        "autograd": autograd(loss),
        "checkpoint": autograd(lambda z: checkpoint(loss, z, use_reentrant=False)),
        "compiled": autograd(compiled),
    }


def autograd(loss: Callable[[Tensor], Any]) -> Tensor:
    leaf = LOGITS.clone().requires_grad_()
    (grad,) = torch.autograd.grad(loss(leaf), leaf)
    return grad


def tangent(loss: Loss) -> Tensor:
    with forward_ad.dual_level():
        dual = loss(forward_ad.make_dual(LOGITS, LOGITS))
        unpacked = forward_ad.unpack_dual(dual)
    assert unpacked.tangent is not None
    return unpacked.tangent


@pytest.mark.parametrize("name", [slow("sigmoid"), "softmax", slow("linear")])
def test_without_each_private_name_numbers_are_the_same(name: str) -> None:
    expected = results(LOSSES[name])
    assert len(looked_up()) >= 8
    for module, private in looked_up():
        torch._dynamo.reset()
        with without(module, private):
            numbers = results(LOSSES[name])
        for key, x in expected.items():
            error = (numbers[key] - x).abs().max() / x.abs().max()
            # Another way to the same float64 numbers may add up in another order: 45 eps for at
            # most a dozen terms.
            assert error <= 1e-14, (private, key)


def test_without_a_level_forward_mode_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """This one PyTorch reads itself, so it is answered for a moment only."""
    assert not focal_torch._base.versions.is_forward()
    monkeypatch.delattr(forward_ad, "_current_level")
    assert focal_torch._base.versions.is_forward()
    loss = focal_torch.linear_softmax_focal_loss(LOGITS, KERNEL, IDS, chunk_size=3)
    monkeypatch.undo()
    # The sum over rows may be in another order, as above.
    torch.testing.assert_close(loss, LOSSES["linear"](LOGITS), rtol=1e-14, atol=0)


def test_without_the_levels_of_torch_func_forward_mode_is_refused() -> None:
    """Nested, it would return zeros without a word, so it is not there at all."""
    with without("torch._functorch.pyfunctorch", "retrieve_all_functorch_interpreters"):
        for transform in (torch.func.jacfwd, torch.func.hessian):
            with pytest.raises(RuntimeError, match="jvp"):
                transform(LOSSES["softmax"])(LOGITS)


def test_the_ways_out_are_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would happen if a missing name were answered without care."""
    with monkeypatch.context() as patch:
        patch.setattr(focal_torch._base.versions, "_excluding", None)
        patch.setattr(
            "focal_torch._core.linear_chunk.with_autograd", lambda function, *args: function(*args)
        )
        compiled = torch.compile(LOSSES["linear"], fullgraph=True, backend="aot_eager")
        with pytest.raises(RuntimeError, match="does not require grad"):
            compiled(LOGITS.clone().requires_grad_())
    monkeypatch.setattr(focal_torch._base.versions, "_transforms_are_active", lambda: False)
    with pytest.raises(UserWarning, match="performance drop"):
        torch.func.vmap(LOSSES["softmax"])(torch.stack([LOGITS, 2 * LOGITS]))


def test_without_functional_collectives_an_error_names_the_versions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(focal_torch._base.versions, "_wait", None)
    with pytest.raises(NotImplementedError, match=r"PyTorch 2.4 to 2.15 have, and PyTorch 2.\d+"):
        focal_torch._base.versions.all_reduce(LOGITS, "sum", "0")


def test_dtensors_where_pytorch_2_4_has_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert focal_torch._base.versions.distributed_tensors().__name__ == "torch.distributed.tensor"
    import_module("torch.distributed._tensor")
    monkeypatch.delattr("torch.distributed.tensor.DTensor")
    assert focal_torch._base.versions.distributed_tensors().__name__ == "torch.distributed._tensor"


def test_what_takes_dtensors_before_pytorch_2_11(monkeypatch: pytest.MonkeyPatch) -> None:
    finite = torch.tensor(spaced(-60, 60, 41))
    x = torch.cat([finite, torch.tensor([-torch.inf, torch.inf])])
    softplus = focal_torch._base.versions.softplus(x, 40)
    monkeypatch.setattr(focal_torch._base.versions, "SOFTPLUS_TAKES_NO_DTENSOR", True)
    # A tensor that is no DTensor goes the same way as before, and so has the same bits.
    torch.testing.assert_close(focal_torch._base.versions.softplus(x, 40), softplus, rtol=0, atol=0)
    monkeypatch.setattr(focal_torch._base.versions, "is_distributed", lambda _: True)
    # Two functions of PyTorch for one number: each may be off in its last bit.
    torch.testing.assert_close(
        focal_torch._base.versions.softplus(x, 40), softplus, rtol=4e-16, atol=0
    )


def test_jax_without_explicit_axes_names_the_version_that_has_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mesh = jax.make_mesh((1,), ("data",), axis_types=(AxisType.Explicit,))
    by_rows = NamedSharding(mesh, PartitionSpec("data"))
    z = jax.device_put(jnp.zeros((4, 3)), by_rows)
    ids = jnp.asarray(IDS.numpy())
    with jax.set_mesh(mesh):
        expected = focal_jax.softmax_focal_loss(z, ids)
        monkeypatch.setattr("focal_jax._base.versions._auto_axes", None)
        # A program that is there already asks for nothing.
        jax.clear_caches()
        with pytest.raises(NotImplementedError, match=r"needs JAX 0.7, and this is JAX 0\.\d+"):
            focal_jax.softmax_focal_loss(z, ids)
    assert expected.shape == (4,)


class Typed:
    """What `jax.typeof` returns before JAX 0.8.2."""

    vma = frozenset({"data"})


def test_jax_without_pcast_asks_what_jax_0_6_has(monkeypatch: pytest.MonkeyPatch) -> None:
    from focal_jax._base.versions import is_varying

    monkeypatch.setattr("focal_jax._base.versions._pcast", None)
    with monkeypatch.context() as patch:
        patch.setattr("jax.typeof", lambda _: Typed)
        assert is_varying(jnp.zeros(1), "data")
        assert not is_varying(jnp.zeros(1), "model")
        patch.setattr("jax.typeof", lambda _: None)
        with pytest.raises(NotImplementedError, match=r"JAX 0.6.1 to 0.12 give arrays"):
            is_varying(jnp.zeros(1), "data")


@pytest.mark.parametrize(("package", "version"), [("focal_jax", "0.5.3"), ("focal_torch", "2.3.1")])
def test_older_versions_are_refused_by_name(
    package: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = import_module(package.removeprefix("focal_"))
    monkeypatch.setattr(module, "__version__", type(module.__version__)(version))
    if module is jax:
        numbers = tuple(map(int, version.split(".")))
        monkeypatch.setattr(jax, "__version_info__", numbers)
    message = rf"needs (JAX|PyTorch) [\d.]+ or newer, and this is {version}"
    with pytest.raises(ImportError, match=message):
        runpy.run_path(str(ROOT / package / "_base" / "versions.py"))


def test_what_is_refused_is_what_the_project_does_not_ask_for() -> None:
    extras = PROJECT["optional-dependencies"]
    for package in ("jax", "torch"):
        oldest = import_module(f"focal_{package}._base.versions").OLDEST
        version = ".".join(map(str, oldest))
        assert extras[package] == [f"{package}>={version}"]
