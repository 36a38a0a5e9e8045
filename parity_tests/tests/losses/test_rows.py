"""The rows of a softmax: both readings of JAX and that of PyTorch, with logits that are far away,
huge or masked."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from numpy.testing import assert_allclose, assert_array_equal

import focal_jax
import focal_jax._core.margin as jax_margin
import focal_torch
from parity_tests.contract.exact import Draws
from parity_tests.contract.examine import examine
from parity_tests.contract.port import Port
from parity_tests.contract.suite import PROBLEMS, solved
from parity_tests.contract.tolerances import EPS, SOFTMAX
from parity_tests.ports.packages import JAX
from parity_tests.tests.parametrize import both_packages

IDS = [name for name in PROBLEMS if name.startswith("softmax, ids")]
LOWEST = float(np.finfo(np.float32).min)


def loss_and_slope(port: Port, rows: Any, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    z = np.asarray(rows, np.float32)
    t = port.array(ids)

    def loss(z: Any) -> Any:
        return port.module.softmax_focal_loss(z, t, axis=1, gamma=0.0)

    value = port.numpy(loss(port.array(z)))
    return value, port.gradient(loss, z)


@pytest.fixture
def as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_default(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
        return default(*args)

    monkeypatch.setattr(jax_margin.lax, "platform_dependent", of_default)


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_an_accelerator")
@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", IDS[::2])
def test_the_reading_of_accelerators(name: str, order: int) -> None:
    """One reduction of two numbers, which no CPU takes by itself."""
    examine(solved(name), JAX, order)


@pytest.mark.parametrize("reading", [jax_margin._in_one_pass, jax_margin._in_two_passes])
def test_both_readings_know_what_is_special(
    reading: Callable[..., tuple[jax.Array, jax.Array]],
) -> None:
    inf, nan = np.inf, np.nan
    rows = [[0.0, 1.0, 1.0], [9.0, -inf, -inf], [0.0, inf, 1.0], [0.0, inf, inf]]
    rows += [[nan, 1.0, 1.0], [0.0, nan, 1.0]]
    z = jnp.asarray(rows, jnp.float32)
    t = jnp.zeros((len(rows), 1), jnp.int32)
    top, total = jax.jit(reading)(z, t, z[:, 0])
    assert_array_equal(top[:4], [1, -inf, inf, inf])
    assert total[0] == 2
    assert total[2] == 1
    assert total[3] == 2
    assert jnp.isnan(total[5])


@pytest.mark.parametrize("reading", [jax_margin._in_one_pass, jax_margin._in_two_passes])
def test_both_readings_of_logits_that_are_far_apart(
    reading: Callable[..., tuple[jax.Array, jax.Array]],
) -> None:
    """A long row, in which one of the others is far ahead of the rest."""
    z = jnp.full((2, 40_000), -200.0, jnp.float32)
    z = z.at[:, 39_999].set(-100.0)
    z = z.at[0, 7].set(500.0)
    t = jnp.full((2, 1), 7)
    top, total = jax.jit(reading)(z, t, z[:, 7])
    assert_array_equal(top, [-100, -100])
    assert_array_equal(total, [1, 1])


@both_packages
@pytest.mark.parametrize("offset", [0, 100, 1e4, 1e7])
def test_what_all_logits_have_in_common_costs_nothing(port: Port, offset: float) -> None:
    """Against the same float32 logits in float64; the scale has no offset in it."""
    draws = Draws(0)
    z = (draws.bell((200, 10)) + offset).astype(np.float32)
    ids = draws.integers(0, 10, 200)
    value, slope = loss_and_slope(port, z, ids)
    near = torch.tensor(z.astype(float) - offset, requires_grad=True)
    losses = focal_torch.softmax_focal_loss(near, torch.tensor(ids), gamma=0.0)
    (grad,) = torch.autograd.grad(losses.sum(), near)
    true_value, true_slope = losses.detach().numpy(), grad.numpy()
    # The rounding of the logits moves the loss by its slope, and the slope by itself.
    size = abs(near.detach().numpy())
    value_scale = abs(true_value) + (abs(true_slope) * size).sum(1)
    slope_scale = abs(true_slope) * (1 + 2 * size.max())
    allowed = SOFTMAX * EPS["float32"]
    assert (abs(value - true_value) / value_scale).max() <= allowed
    assert (abs(slope - true_slope) / slope_scale).max() <= allowed


class Huge(NamedTuple):
    """A row whose target is its first class, its loss, and its slope."""

    row: list[float]
    value: float
    slope: list[float]


HUGE: dict[str, Huge] = {}
HUGE["3e30 and 2e30"] = Huge([3e30, 2e30], 0.0, [0, 0])
HUGE["-3e30 and -2e30"] = Huge([-3e30, -2e30], 1e30, [-1, 1])
HUGE["equal and huge"] = Huge([-1e30, -1e30], np.log(2), [-0.5, 0.5])
THIRD = 1 / 3
HUGE["all lowest"] = Huge([LOWEST] * 3, np.log(3), [-2 * THIRD, THIRD, THIRD])
HUGE["others lowest"] = Huge([3, LOWEST, LOWEST], 0.0, [0, 0, 0])
HUGE["itself lowest"] = Huge([LOWEST, 3, LOWEST], -LOWEST, [-1, 1, 0])


def holds(port: Port, name: str) -> None:
    expected = HUGE[name]
    value, slope = loss_and_slope(port, [expected.row], np.array([0]))
    assert_allclose(value[0], expected.value, rtol=1e-6)
    assert_allclose(slope[0], expected.slope, rtol=1e-6)


@both_packages
@pytest.mark.parametrize("name", HUGE)
def test_finite_logits_are_never_taken_for_infinite_ones(port: Port, name: str) -> None:
    """A mask is often the lowest finite number, added to the logits."""
    holds(port, name)


@pytest.mark.usefixtures("as_on_an_accelerator")
@pytest.mark.parametrize("name", HUGE)
def test_nor_by_the_reading_of_accelerators(name: str) -> None:
    holds(JAX, name)


# Of a first row that is masked, and of a second that is kept.
HALF_MASKED = np.array([[np.nan, 1, 2], [1, 2, 3]])
HALF_IDS = np.array([0, 1])
HALF_MASK = np.array([False, True])


def first_row_is_0(derivative: np.ndarray) -> None:
    assert not derivative[0].any()
    assert np.isfinite(derivative[1]).all()


def test_second_derivatives_of_masked_rows_are_0() -> None:
    leaf = torch.tensor(HALF_MASKED, requires_grad=True)
    ids, where = torch.tensor(HALF_IDS), torch.tensor(HALF_MASK)
    loss = focal_torch.softmax_focal_loss(leaf, ids, where=where, reduction="sum")
    weights = torch.arange(3)
    (slope,) = torch.autograd.grad(loss, leaf, create_graph=True)
    (second,) = torch.autograd.grad((slope * weights).sum(), leaf, create_graph=True)
    (third,) = torch.autograd.grad((second * weights).sum(), leaf)
    first_row_is_0(second.detach().numpy())
    first_row_is_0(third.numpy())

    def of_jax(z: jax.Array) -> jax.Array:
        ids, where = jnp.asarray(HALF_IDS), jnp.asarray(HALF_MASK)
        return focal_jax.softmax_focal_loss(z, ids, where=where, reduction="sum")

    def weighted_slope(z: jax.Array) -> jax.Array:
        slope = jax.grad(of_jax)(z)
        return (slope * jnp.arange(3.0)[None]).sum()

    second_of_jax = np.asarray(jax.grad(weighted_slope)(jnp.asarray(HALF_MASKED)))
    first_row_is_0(second_of_jax)
    assert_allclose(second_of_jax, second.detach().numpy(), rtol=1e-12)


@pytest.fixture
def default_of_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("default_of_float64")
def test_the_dtype_does_not_depend_on_the_default() -> None:
    ids = torch.tensor([0, 1])
    z = torch.zeros(2, 3, dtype=torch.float32)
    assert focal_torch.softmax_focal_loss(z, ids, reduction="mean").dtype == torch.float32
    assert focal_torch.softmax_focal_loss(z, ids).dtype == torch.float32
    y = torch.ones(2, 3)
    z = torch.zeros(2, 3, dtype=torch.bfloat16)
    assert focal_torch.sigmoid_focal_loss(z, y, reduction="mean").dtype == torch.float32
    assert focal_torch.sigmoid_focal_loss(z, y).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_targets(dtype: str) -> None:
    y = np.array([0, 1, 1], dtype)
    z = torch.tensor([1.0, 2.0, 3.0])
    expected = focal_torch.sigmoid_focal_loss(z, torch.tensor([0, 1, 1]))
    loss = focal_torch.sigmoid_focal_loss(z, torch.from_numpy(y))
    assert torch.equal(loss, expected)
    loss_of_jax = focal_jax.sigmoid_focal_loss(jnp.asarray(z.numpy()), jnp.asarray(y))
    assert_allclose(loss_of_jax, expected, rtol=1e-6)


@both_packages
@pytest.mark.parametrize("index", [2**31, 2**40, -(2**70)])
def test_an_ignore_index_that_ids_cannot_have(port: Port, index: int) -> None:
    z = port.array(np.zeros((2, 3), np.float32))
    t = port.array(np.array([0, 1], np.int32))
    loss = port.module.softmax_focal_loss(z, t, ignore_index=index)
    assert loss.shape == (2,)


def test_on_an_explicit_mesh() -> None:
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Explicit,))
    rows = NamedSharding(mesh, PartitionSpec("rows", None))
    z = jax.device_put(jnp.zeros((4, 3), jnp.float32), rows)
    for dtype in (jnp.int32, jnp.float32):
        y = jax.device_put(jnp.ones((4, 3), dtype), rows)
        assert focal_jax.sigmoid_focal_loss(z, y).sharding == rows


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_does_not_remember_that_targets_were_hard() -> None:
    z = torch.tensor([1.0, -2.0])
    hard = torch.tensor([1.0, 0.0])
    soft = torch.tensor([0.3, 0.7])
    traced: Any = torch.jit.trace(focal_torch.sigmoid_focal_loss, (z, hard))
    expected = focal_torch.sigmoid_focal_loss(z, soft)
    assert torch.equal(traced(z, soft), expected)
