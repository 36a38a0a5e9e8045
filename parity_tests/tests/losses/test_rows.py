"""The rows of a softmax: both readings of JAX and that of PyTorch, with logits that are far away,
huge or masked."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import focal_jax
import focal_jax.rows
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


def loss_and_slope(
    port: Port, rows: Any, ids: np.ndarray, **settings: Any
) -> tuple[np.ndarray, np.ndarray]:
    z, t = np.asarray(rows, np.float32), port.array(ids)

    def loss(z: Any) -> Any:
        return port.module.softmax_focal_loss(z, t, axis=1, gamma=0.0, **settings)

    return port.numpy(loss(port.array(z))), port.gradient(loss, z)


@pytest.fixture
def as_on_an_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    def of_default(*args: Any, cpu: Callable[..., Any], default: Callable[..., Any]) -> Any:
        return default(*args)

    monkeypatch.setattr(focal_jax.rows.lax, "platform_dependent", of_default)


@pytest.mark.slow
@pytest.mark.usefixtures("as_on_an_accelerator")
@pytest.mark.parametrize("order", range(3))
@pytest.mark.parametrize("name", IDS)
def test_the_reading_of_accelerators(name: str, order: int) -> None:
    """One reduction of two numbers, which no CPU takes by itself."""
    examine(solved(name), JAX, order)


@pytest.mark.parametrize("reading", [focal_jax.rows._in_one_pass, focal_jax.rows._in_two_passes])
def test_both_readings_know_what_is_special(
    reading: Callable[..., tuple[jax.Array, jax.Array]],
) -> None:
    inf, nan = np.inf, np.nan
    rows = [
        [0.0, 1.0, 1.0],
        [9.0, -inf, -inf],
        [0.0, inf, 1.0],
        [0.0, inf, inf],
        [nan, 1.0, 1.0],
        [0.0, nan, 1.0],
    ]
    z = jnp.asarray(rows, jnp.float32)
    t = jnp.zeros((len(rows), 1), jnp.int32)
    top, total = jax.jit(reading)(z, t, z[:, :1])
    np.testing.assert_array_equal(top[:4], [1, -inf, inf, inf])
    np.testing.assert_array_equal(np.asarray(total)[[0, 2, 3]], [2, 1, 2])
    assert np.isnan(np.asarray(total[5]))
    far = jnp.full((2, 40_000), -200.0, jnp.float32).at[:, 39_999].set(-100.0)
    top, total = jax.jit(reading)(
        far.at[0, 7].set(500.0), jnp.full((2, 1), 7), far.at[0, 7].set(500.0)[:, 7:8]
    )
    np.testing.assert_array_equal(top, [-100, -100])
    np.testing.assert_array_equal(total, [1, 1])


@both_packages
@pytest.mark.parametrize("offset", [0, 100, 1e4, 1e7])
def test_what_all_logits_have_in_common_costs_nothing(port: Port, offset: float) -> None:
    """Against the same float32 logits in float64; the scale has no offset in it."""
    draws = Draws(0)
    z, ids = (draws.bell((200, 10)) + offset).astype(np.float32), draws.integers(0, 10, 200)
    value, slope = loss_and_slope(port, z, ids)
    near = torch.tensor(z.astype(float) - offset, requires_grad=True)
    truth = focal_torch.softmax_focal_loss(near, torch.tensor(ids), gamma=0.0)
    (rise,) = torch.autograd.grad(truth.sum(), near)
    moved = (rise * near).abs().sum(1).detach().numpy()
    exact, rise = truth.detach().numpy(), rise.numpy()
    assert (abs(value - exact) / (abs(exact) + moved)).max() <= SOFTMAX * EPS["float32"]
    assert (
        abs(slope - rise) / abs(rise) / (1 + 2 * abs(near.detach().numpy()).max())
    ).max() <= SOFTMAX * EPS["float32"]


HUGE = {
    "3e30 and 2e30": ([3e30, 2e30], 0.0, [0, 0]),
    "-3e30 and -2e30": ([-3e30, -2e30], 1e30, [-1, 1]),
    "equal and huge": ([-1e30, -1e30], np.log(2), [-0.5, 0.5]),
    "all lowest": ([LOWEST] * 3, np.log(3), [-2 / 3, 1 / 3, 1 / 3]),
    "others lowest": ([3, LOWEST, LOWEST], 0.0, [0, 0, 0]),
    "itself lowest": ([LOWEST, 3, LOWEST], -LOWEST, [-1, 1, 0]),
}


def holds(port: Port, name: str) -> None:
    row, value, slope = HUGE[name]
    got, rise = loss_and_slope(port, [row], np.array([0]))
    np.testing.assert_allclose(got[0], value, rtol=1e-6)
    np.testing.assert_allclose(rise[0], slope, rtol=1e-6)


@both_packages
@pytest.mark.parametrize("name", HUGE)
def test_finite_logits_are_never_taken_for_infinite_ones(port: Port, name: str) -> None:
    """A mask is often the lowest finite number, added to the logits."""
    holds(port, name)


@pytest.mark.usefixtures("as_on_an_accelerator")
@pytest.mark.parametrize("name", HUGE)
def test_nor_by_the_reading_of_accelerators(name: str) -> None:
    holds(JAX, name)


def test_second_derivatives_of_masked_rows_are_0() -> None:
    z, ids, where = np.array([[np.nan, 1, 2], [1, 2, 3]]), np.array([0, 1]), np.array([False, True])
    leaf = torch.tensor(z, requires_grad=True)
    loss = focal_torch.softmax_focal_loss(
        leaf, torch.tensor(ids), where=torch.tensor(where), reduction="sum"
    )
    (slope,) = torch.autograd.grad(loss, leaf, create_graph=True)
    (second,) = torch.autograd.grad((slope * torch.arange(3)).sum(), leaf, create_graph=True)
    (third,) = torch.autograd.grad((second * torch.arange(3)).sum(), leaf)

    def turned(z: jax.Array) -> jax.Array:
        def total(z: jax.Array) -> jax.Array:
            return focal_jax.softmax_focal_loss(
                z, jnp.asarray(ids), where=jnp.asarray(where), reduction="sum"
            )

        return (jax.grad(total)(z) * jnp.arange(3.0)[None]).sum()

    again = jax.grad(turned)(jnp.asarray(z))
    for result in (second.detach().numpy(), third.numpy(), np.asarray(again)):
        assert not result[0].any()
        assert np.isfinite(result[1]).all()
    np.testing.assert_allclose(again, second.detach().numpy(), rtol=1e-12)


def test_the_dtype_does_not_depend_on_the_default() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        for dtype, sigmoid in ((torch.float32, False), (torch.bfloat16, True)):
            z = torch.zeros(2, 3, dtype=dtype)
            loss = focal_torch.sigmoid_focal_loss if sigmoid else focal_torch.softmax_focal_loss
            t = torch.ones(2, 3) if sigmoid else torch.tensor([0, 1])
            assert loss(z, t, reduction="mean").dtype == torch.float32
            assert loss(z, t).dtype == dtype
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("dtype", ["uint16", "uint32", "uint64"])
def test_unsigned_targets(dtype: str) -> None:
    ids = np.array([0, 1, 1], dtype)
    z, expected = (
        torch.tensor([1.0, 2.0, 3.0]),
        focal_torch.sigmoid_focal_loss(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0, 1, 1])),
    )
    assert torch.equal(focal_torch.sigmoid_focal_loss(z, torch.from_numpy(ids)), expected)
    np.testing.assert_allclose(
        focal_jax.sigmoid_focal_loss(jnp.asarray(z.numpy()), jnp.asarray(ids)), expected, rtol=1e-6
    )


def test_an_ignore_index_that_ids_cannot_have() -> None:
    z, t = np.zeros((2, 3), np.float32), np.array([0, 1], np.int32)
    for x in (2**31, 2**40, -(2**70)):
        assert focal_jax.softmax_focal_loss(
            jnp.asarray(z), jnp.asarray(t), ignore_index=x
        ).shape == (2,)
        assert focal_torch.softmax_focal_loss(
            torch.tensor(z), torch.tensor(t), ignore_index=x
        ).shape == (2,)


def test_on_an_explicit_mesh() -> None:
    mesh = jax.make_mesh((1,), ("rows",), axis_types=(AxisType.Explicit,))
    rows = NamedSharding(mesh, PartitionSpec("rows", None))
    z = jax.device_put(jnp.zeros((4, 3), jnp.float32), rows)
    for targets in (jnp.ones((4, 3), jnp.int32), jnp.ones((4, 3), jnp.float32)):
        assert focal_jax.sigmoid_focal_loss(z, jax.device_put(targets, rows)).sharding == rows


@pytest.mark.filterwarnings("ignore:`torch.jit.trace` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_trace_does_not_remember_that_targets_were_hard() -> None:
    z, hard, soft = torch.tensor([1.0, -2.0]), torch.tensor([1.0, 0.0]), torch.tensor([0.3, 0.7])
    traced: Any = torch.jit.trace(focal_torch.sigmoid_focal_loss, (z, hard))
    assert torch.equal(traced(z, soft), focal_torch.sigmoid_focal_loss(z, soft))
