"""Arguments as people have them, and errors that say what to do."""

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from numpy.testing import assert_allclose, assert_array_equal

import focal_jax
import focal_torch
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages

LOGITS: Any = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]], np.float32)
BITS: Any = np.array([[1, 0, 0], [0, 1, 1]])
IDS: Any = np.array([0, 2])
# Numbers that float32 has.
WEIGHTS = [0.25, 0.5, 0.125]
SECONDS = 120


def sigmoid(port: Port, targets: np.ndarray = BITS, **settings: Any) -> np.ndarray:
    loss = port.module.sigmoid_focal_loss(port.array(LOGITS), port.array(targets), **settings)
    return port.numpy(loss)


def softmax(port: Port, **settings: Any) -> np.ndarray:
    logits, ids = port.array(LOGITS), port.array(IDS)
    return port.numpy(port.module.softmax_focal_loss(logits, ids, axis=-1, **settings))


@both_packages
@pytest.mark.parametrize("kind", [list, tuple, np.array, np.float32], ids=lambda x: x.__name__)
def test_several_numbers_come_as_people_have_them(port: Port, kind: Any) -> None:
    given, array = kind(WEIGHTS), port.array(np.array(WEIGHTS, np.float32))
    for loss in (sigmoid, softmax):
        for name in ("alpha", "gamma"):
            assert_array_equal(loss(port, **{name: given}), loss(port, **{name: array}))


@both_packages
@pytest.mark.parametrize("bad", [["a"], [[1.0], [1.0, 2.0]], [None]], ids=str)
def test_what_is_no_array_of_numbers(port: Port, bad: Any) -> None:
    for loss in (sigmoid, softmax):
        with pytest.raises(
            TypeError, match=r"\(alpha=\.\.\.\): expected (an array of|real) numbers"
        ):
            loss(port, alpha=bad)


@pytest.mark.parametrize("kind", [list, np.array])
def test_settings_of_a_module_become_its_buffers(kind: Any) -> None:
    loss = focal_torch.SoftmaxFocalLoss(alpha=kind(WEIGHTS), axis=-1, reduction="none")
    assert set(loss.state_dict()) == {"alpha"}
    result = loss(torch.tensor(LOGITS), torch.tensor(IDS))
    assert_array_equal(result, softmax(TORCH, alpha=WEIGHTS))


def test_variables_of_flax() -> None:
    """Eager, and as what is differentiated."""
    alpha: Any = nnx.Param(jnp.asarray(WEIGHTS, jnp.float32))
    gamma: Any = nnx.Param(jnp.asarray(1.5))
    expected = softmax(JAX, alpha=WEIGHTS, gamma=jnp.asarray(1.5))
    assert_array_equal(softmax(JAX, alpha=alpha, gamma=gamma), expected)
    features: Any = nnx.Param(jnp.asarray(LOGITS))
    kernel: Any = nnx.Param(jnp.ones((3, 4), jnp.float32))
    loss = focal_jax.linear_softmax_focal_loss(features, kernel, jnp.asarray(IDS))
    assert_allclose(loss, np.log(4) * 0.75**2, rtol=1e-6)

    def total(gamma: Any) -> jax.Array:
        return focal_jax.sigmoid_focal_loss(LOGITS, BITS, gamma=gamma).sum()

    assert float(nnx.grad(total)(gamma)[...]) < 0


@both_packages
@pytest.mark.parametrize(
    ("dtype", "void"), [("uint8", 255), ("int8", -1), ("int32", -1), ("float32", -1)]
)
@pytest.mark.parametrize("reduction", ["none", "sum", "mean", "mean_positive"])
def test_labels_that_mean_nothing(port: Port, dtype: str, void: int, reduction: str) -> None:
    kept = np.array([[True, False, True], [True, True, False]])
    targets = np.where(kept, BITS, void).astype(dtype)
    right = sigmoid(port, where=port.array(kept), reduction=reduction)
    assert_array_equal(sigmoid(port, targets, ignore_index=void, reduction=reduction), right)
    both = {"where": port.array(np.ones_like(kept)), "ignore_index": void, "reduction": reduction}
    assert_array_equal(sigmoid(port, targets, **both), right)
    # A value that no target has leaves nothing out.
    everything = sigmoid(port, reduction=reduction)
    assert_array_equal(sigmoid(port, ignore_index=2**40, reduction=reduction), everything)


@both_packages
def test_half_precision_has_rows_in_float32(port: Port) -> None:
    """6.25193 rounds to 6.25 in bfloat16."""
    half: Any = {JAX.name: jnp.bfloat16, TORCH.name: torch.bfloat16}[port.name]
    kernel = np.array([[0, 6.25]], np.float32)
    if port is TORCH:
        kernel = np.ascontiguousarray(kernel.T)
    arrays = (np.ones((1, 1), np.float32), kernel)
    features, kernel = (
        x.astype(half) if port is JAX else x.to(half) for x in map(port.array, arrays)
    )
    ids = port.array(np.array([0]))
    loss = port.module.linear_softmax_focal_loss
    rows = port.numpy(loss(features, kernel, ids, gamma=0.0, reduction="none"))
    assert rows.dtype == np.float32
    assert_allclose(rows, np.log1p(np.exp(6.25)), rtol=1e-6)


def test_numbers_that_need_64_bits() -> None:
    """Without jax_enable_x64 JAX would keep their lower halves: 2³² + 2 would be class 2."""
    with jax.enable_x64(False):
        counts: Any = np.array([2**33, 2**32])
        assert_allclose(focal_jax.alpha_from_counts(counts), [2 / 3, 4 / 3], rtol=1e-6)
        weight: Any = np.array([2**33, 1])
        assert_allclose(softmax(JAX, weight=weight), softmax(JAX, weight=weight * 1.0), rtol=1e-6)
        for wide in (2**32 + 2, 2**31, -(2**40)):
            ids: Any = np.array([0, wide])
            for ignore_index in (None, 2**31 - 1, 2):
                with pytest.raises(ValueError, match=rf"in \[0, 3\), got {wide} at \(1,\)"):
                    focal_jax.softmax_focal_loss(LOGITS, ids, ignore_index=ignore_index)
            ignored = focal_jax.softmax_focal_loss(LOGITS, ids, ignore_index=wide)
            assert_array_equal(ignored, softmax(JAX, where=jnp.array([True, False])))
            labels: Any = np.where(BITS, BITS, wide)
            with pytest.raises(ValueError, match=rf"in \[0, 1\], got {wide} at \(0, 1\)"):
                focal_jax.sigmoid_focal_loss(LOGITS, labels)


@both_packages
def test_a_gamma_that_a_mask_leaves_out_may_be_anything(port: Port) -> None:
    kept = port.array(np.array([False, True]))
    gamma = port.array(np.array([[np.nan], [2.0]]))
    assert_array_equal(softmax(port, gamma=gamma, where=kept), softmax(port, where=kept))


def test_lists_with_tensors_have_their_gradients() -> None:
    p = torch.tensor(0.5, requires_grad=True)
    logits, ids = torch.tensor(LOGITS), torch.tensor(IDS)
    alpha: Any = [p, 1.0, p]
    loss = focal_torch.softmax_focal_loss(logits, ids, alpha=alpha, axis=-1)
    (slope,) = torch.autograd.grad(loss.sum(), p)
    assert slope == softmax(TORCH).sum()
    parameters: Any = [torch.nn.Parameter(p)] * 3
    with pytest.raises(TypeError, match=r"SoftmaxFocalLoss\(alpha=.*make one of all"):
        focal_torch.SoftmaxFocalLoss(alpha=parameters)

    def total(a: jax.Array) -> jax.Array:
        alpha: Any = [a, 1.0, a]
        return focal_jax.softmax_focal_loss(LOGITS, IDS, alpha=alpha).sum()

    assert_allclose(jax.jit(jax.grad(total))(0.5), softmax(JAX).sum(), rtol=1e-6)


@pytest.mark.parametrize("kind", [list, np.array])
def test_lists_in_a_compiled_program(kind: Any) -> None:
    alpha = kind(WEIGHTS)
    compiled = torch.compile(
        lambda z, t: focal_torch.softmax_focal_loss(z, t, alpha=alpha, axis=-1),
        fullgraph=True,
        backend="eager",
    )
    result = compiled(torch.tensor(LOGITS), torch.tensor(IDS))
    assert_allclose(result, softmax(TORCH, alpha=WEIGHTS), rtol=1e-6)


def test_a_tensor_of_another_device_is_named() -> None:
    logits, bits = torch.tensor(LOGITS), torch.tensor(BITS)
    elsewhere = torch.tensor(WEIGHTS, device="meta")
    for name in ("alpha", "gamma", "where", "weight"):
        x: Any = elsewhere > 0 if name == "where" else elsewhere
        message = rf"\({name}=\.\.\.\): expected an array on cpu, got meta\. Move it with \.to"
        with pytest.raises(ValueError, match=message):
            focal_torch.sigmoid_focal_loss(logits, bits, **{name: x})


TWO_DEVICES = """
import jax, jax.numpy as jnp
import focal_jax

first, second = jax.devices()
logits = jax.device_put(jnp.zeros((2, 3)), first)
alpha = jax.device_put(jnp.ones(3), second)
try:
    focal_jax.sigmoid_focal_loss(logits, logits, alpha=alpha)
except ValueError as error:
    print(error)
# What nobody has put anywhere goes where it is asked for.
print(focal_jax.sigmoid_focal_loss(logits, jnp.zeros((2, 3)), alpha=jnp.ones(3)).shape)
"""


def test_an_array_of_another_device_is_named() -> None:
    flags = "--xla_force_host_platform_device_count=2"
    process = subprocess.run(
        [sys.executable, "-c", TWO_DEVICES],
        env={"XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu", "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=True,
    )
    message, shape = process.stdout.splitlines()
    assert message.startswith("sigmoid_focal_loss(alpha=...): expected an array on ")
    assert "jax.device_put" in message
    assert shape == "(2, 3)"


@pytest.mark.parametrize(
    ("option", "value"), [("label_smoothing", 0.1), ("ignore_index", 1), ("axis", -1)]
)
def test_an_option_that_is_traced_has_to_be_static(option: str, value: float) -> None:
    def loss(x: Any) -> jax.Array:
        return focal_jax.softmax_focal_loss(LOGITS, IDS, **{option: x})

    with pytest.raises(TypeError, match=rf"\({option}=.*got a traced value\. It is static: .*jit"):
        jax.jit(loss)(value)
