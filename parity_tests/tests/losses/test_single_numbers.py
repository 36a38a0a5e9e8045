"""Options that are one number for the whole call, in the forms that people have them in, and what
is left of them where a tool traces the call."""

import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax.sharding import PartitionSpec
from torch import Tensor

import focal_jax
import focal_torch
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages

LOGITS: Any = np.array([[2.0, -1.0, 0.5], [0.25, 0.125, 3.0]], np.float32)
IDS: Any = np.array([0, 2])
# A number of one element is none: it may be traced.
OPTIONS = {"label_smoothing": np.array(0.25), "ignore_index": np.array(2), "axis": np.array(1)}


@both_packages
@pytest.mark.parametrize("option", OPTIONS)
def test_an_array_for_one_number_says_what_to_take(port: Port, option: str) -> None:
    for value in (OPTIONS[option], port.array(OPTIONS[option])):
        with pytest.raises(TypeError, match=rf"softmax.*\({option}=.*expected.*item\(\)"):
            port.module.softmax_focal_loss(
                port.array(LOGITS), port.array(IDS), **{"axis": -1, option: value}
            )


@pytest.mark.parametrize("value", [np.float32(0.25), np.array(0.25)], ids=type)
def test_a_number_of_numpy_in_a_compiled_program(value: Any) -> None:
    ids = torch.tensor(IDS)

    def loss(z: Tensor, **settings: Any) -> Tensor:
        return focal_torch.softmax_focal_loss(z, ids, **settings)

    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    z = torch.tensor(LOGITS)
    torch.testing.assert_close(compiled(z, gamma=value), loss(z, gamma=0.25))
    with pytest.raises(Exception, match=r"label_smoothing=.*item\(\)"):
        compiled(z, label_smoothing=value)


def test_the_prior_of_a_variable() -> None:
    pi = jnp.array([0.25, 0.01])
    variable: Any = nnx.Param(pi)
    result = focal_jax.prior_bias(variable)
    np.testing.assert_array_equal(result, focal_jax.prior_bias(pi))


@both_packages
def test_the_prior_of_a_list(port: Port) -> None:
    with pytest.raises(TypeError, match=r"prior_bias\(pi=.*got list. Make it an array"):
        port.module.prior_bias([0.25, 0.01])


def test_what_is_no_name_of_an_axis() -> None:
    names: Any = 3
    with pytest.raises(TypeError, match=r"\(axis_name=.*names of axes of a mesh, got 3"):
        focal_jax.softmax_focal_loss(LOGITS, IDS, axis_name=names, reduction="mean")


@both_packages
def test_what_is_ignored_may_have_any_gamma(port: Port) -> None:
    arrays = {"targets": port.array(IDS), "gamma": port.array(np.array([[2.0], [np.nan]]))}
    settings = {"ignore_index": 2, "reduction": "mean"}
    axis = {"axis": -1}
    for name in ("softmax_focal_loss", "linear_softmax_focal_loss"):
        loss = getattr(port.module, name)
        first = (port.array(LOGITS),)
        if name.startswith("linear"):
            first, axis = (*first, port.array(np.eye(3, dtype=np.float32))), {}
        result = loss(*first, **arrays, **settings, **axis)
        expected = loss(*first, **arrays | {"gamma": 2.0}, **settings, **axis)
        np.testing.assert_allclose(port.numpy(result), port.numpy(expected), rtol=1e-6)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_wide_ids_of_classes_on_a_mesh(dtype: str) -> None:
    """In the types of JAX, of which the number of a device has another one."""
    mesh = jax.make_mesh((1,), ("c",), axis_types=(jax.sharding.AxisType.Auto,))

    def loss(z: Any, ids: Any) -> Any:
        return focal_jax.softmax_focal_loss(z, ids, reduction="mean", class_axis_name="c")

    with jax.enable_x64(True), jax.numpy_dtype_promotion("strict"):
        ids = jnp.asarray(IDS, dtype)
        specs = (PartitionSpec(None, "c"), PartitionSpec())
        split = jax.shard_map(loss, mesh=mesh, in_specs=specs, out_specs=PartitionSpec())
        result = jax.jit(split)(LOGITS, ids)
        expected = focal_jax.softmax_focal_loss(LOGITS, ids, reduction="mean")
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_label_smoothing_in_float64_is_traced_in_float64() -> None:
    def loss(z: Tensor) -> Tensor:
        return focal_torch.softmax_focal_loss(z, torch.tensor(IDS), label_smoothing=0.1)

    z = torch.tensor(LOGITS).double()
    with warnings.catch_warnings():
        # All of TorchScript is deprecated, and warns of what it takes for a constant.
        warnings.simplefilter("ignore")
        traced: Any = torch.jit.trace(loss, (z,), check_trace=False)
    # Some eps of float64; a smoothing that is traced in float32 is off by 1e-8.
    torch.testing.assert_close(traced(z / 3), loss(z / 3), rtol=1e-14, atol=0)


def test_a_gamma_of_a_schedule_without_jit() -> None:
    """A float is a constant of its program, and an array is not: docs/recipes.md says so."""
    program = JAX.module._core.programs.softmax_focal_of_ids
    before = program._cache_size()
    for gamma in np.arange(12, dtype=np.float32) / 8:
        focal_jax.softmax_focal_loss(LOGITS, IDS, gamma=jnp.float32(gamma))
    assert program._cache_size() <= before + 1
