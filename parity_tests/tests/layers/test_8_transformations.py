"""Layer 8, transformations: the losses inside everything that the frameworks do to functions."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch.utils.checkpoint import checkpoint

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws
from parity_tests.contract.port import Port
from parity_tests.ports.packages import JAX, TORCH
from parity_tests.tests.parametrize import both_packages, slow
from parity_tests.versions.older import without_float64

from .calls import SIGMOID, SOFTMAX, Call, call, loss_of

DRAWS = Draws(0)
LOGITS = DRAWS.bell((4, 3)) * 3
PROBABILITIES = DRAWS.simplex(4, 3)
BITS = DRAWS.integers(0, 2, (4, 3))
IDS = DRAWS.integers(0, 3, 4)
FEATURES = DRAWS.bell((4, 5)).astype(np.float32)
KERNEL = DRAWS.bell((3, 5)).astype(np.float32)
BIAS = DRAWS.bell((3,)).astype(np.float32)

MIXTURE = {"soft_targets": "mixture", "reduction": "mean_positive"}
CALLS: dict[str, Call] = {}
CALLS["sigmoid hard"] = call(SIGMOID, BITS, gamma=1.5)
CALLS["sigmoid interpolate"] = call(SIGMOID, PROBABILITIES)
CALLS["sigmoid mixture"] = call(SIGMOID, PROBABILITIES, **MIXTURE)
CALLS["sigmoid quality"] = call(SIGMOID, PROBABILITIES, soft_targets="quality", reduction="mean")
CALLS["varifocal"] = call("varifocal_loss", PROBABILITIES * BITS, reduction="mean_positive")
CALLS["varifocal constant"] = call(
    "varifocal_loss", PROBABILITIES * BITS, gamma=1.5, iou_weighted=False, constant_modulator=True
)
CALLS["heatmap"] = call("heatmap_focal_loss", PROBABILITIES, peak=0.5, reduction="mean_positive")
CALLS["asymmetric"] = call("asymmetric_loss", BITS, gamma_negative=2.5)
CALLS["asymmetric constant"] = call("asymmetric_loss", PROBABILITIES, constant_modulator=True)
CALLS["softmax ids"] = call(SOFTMAX, IDS, reduction="mean")
CALLS["softmax smooth"] = call(SOFTMAX, IDS, label_smoothing=0.1, gamma=0.5)
CALLS["softmax soft"] = call(SOFTMAX, PROBABILITIES, gamma=2.7)
MOST_USED = ("sigmoid hard", "softmax ids")
OTHERS = [
    pytest.param(name, marks=pytest.mark.not_quick) for name in CALLS if name not in MOST_USED
]
each_call = pytest.mark.parametrize("name", [*MOST_USED, *OTHERS])
# Inductor takes ten seconds for each: one call of each closed form.
COMPILED = ("sigmoid interpolate", "sigmoid mixture", "sigmoid quality", "varifocal constant")
COMPILED += ("heatmap", "asymmetric", "softmax soft")


def summed(loss: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda z: loss(z).sum()


def summed_call(port: Port, name: str) -> Callable[[Any], Any]:
    return summed(loss_of(port, *CALLS[name]))


def same(values: Any, expected: Any) -> None:
    """Equal up to the rounding of sums in another order."""
    values, expected = np.asarray(values), np.asarray(expected)
    error = np.abs(values - expected).max()
    assert error <= 64 * np.finfo(values.dtype).eps * np.abs(expected).max()


@each_call
def test_jax_transformations(name: str) -> None:
    loss, z = summed_call(JAX, name), jnp.asarray(LOGITS)
    value, slope = loss(z), jax.grad(loss)(z)
    same(jax.jit(loss)(z), value)
    for function in (loss, jax.checkpoint(loss)):
        compiled_value, compiled_slope = jax.jit(jax.value_and_grad(function))(z)
        same(compiled_value, value)
        same(compiled_slope, slope)
    _, directional = jax.jvp(loss, (z,), (z,))
    same(directional, (slope * z).sum())
    twice = jnp.stack([z, z])
    values = jax.jit(jax.vmap(loss))(twice)
    same(values[1], value)
    slopes = jax.jit(jax.vmap(jax.grad(loss)))(twice)
    same(slopes[0], slope)
    _, scanned = jax.lax.scan(lambda carry, x: (carry, jax.grad(loss)(x)), 0, twice)
    same(scanned[1], slope)
    # Compiled, since layer 3 has those without jit.
    hessian = jax.jit(jax.hessian(loss))(z)
    for other in (jax.jacrev(jax.jacrev(loss)), jax.jacfwd(jax.jacfwd(loss))):
        same(jax.jit(other)(z), hessian)


@each_call
def test_jax_without_float64(name: str) -> None:
    """As users run it: float32 and no 64-bit types at all."""
    with without_float64():
        z = jnp.asarray(LOGITS, jnp.float32)
        value, slope = jax.jit(jax.value_and_grad(summed_call(JAX, name)))(z)
        assert value.dtype == slope.dtype == jnp.float32
    expected = jax.grad(summed_call(JAX, name))(jnp.asarray(LOGITS))
    # The logits were rounded to float32, which moves a gradient that cancels by more than its own
    # eps.
    np.testing.assert_allclose(slope, expected, rtol=1e-4)


@pytest.fixture
def debug_nans() -> Iterator[None]:
    jax.config.update("jax_debug_nans", True)
    yield
    jax.config.update("jax_debug_nans", False)


@pytest.mark.not_quick
@pytest.mark.usefixtures("debug_nans")
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize(
    "targets", [BITS, BITS.astype(float), PROBABILITIES], ids=["hard", "float", "soft"]
)
def test_jax_debug_nans_finds_none(gamma: float, targets: np.ndarray) -> None:
    """Also where logits are infinite, and where masked ones are."""
    z = jnp.asarray(LOGITS).at[0].set(jnp.array([jnp.inf, -jnp.inf, 1e4]))
    masked = {"where": np.arange(4)[:, None] > 0}
    for settings in ({}, masked):
        loss = summed(loss_of(JAX, SIGMOID, targets, settings | {"gamma": gamma}))
        jax.grad(loss)(z)
        jax.hessian(loss)(z)
    for labels in (IDS, PROBABILITIES):
        loss = summed(loss_of(JAX, SOFTMAX, labels, {"gamma": gamma}))
        jax.grad(loss)(z)


@both_packages
def test_vmap_over_gamma_and_alpha(port: Port) -> None:
    alphas = np.array([0.0, 0.25, 0.5, 1.0])
    gammas = np.array([0.0, 0.5, 2.0, 5.0])

    def loss(alpha: Any, gamma: Any, port: Port = port) -> Any:
        settings = {"alpha": alpha, "gamma": gamma, "reduction": "sum"}
        return loss_of(port, SIGMOID, BITS, settings)(port.array(LOGITS))

    # Those of JAX for both packages.
    pairs = zip(alphas.tolist(), gammas.tolist(), strict=True)
    expected = [float(loss(*pair, port=JAX)) for pair in pairs]
    vmap = jax.vmap if port is JAX else torch.func.vmap
    same(vmap(loss)(port.array(alphas), port.array(gammas)), expected)


@each_call
def test_torch_transformations(name: str) -> None:
    loss, z = summed_call(TORCH, name), torch.tensor(LOGITS)
    value, slope = loss(z), torch.func.grad(loss)(z)
    leaf = z.clone().requires_grad_()
    loss(leaf).backward()
    same(leaf.grad, slope)
    directional: Any = torch.func.jvp(loss, (z,), (z,))[1]
    same(directional, (slope * z).sum())
    twice = torch.stack([z, z])
    values = torch.func.vmap(loss)(twice)
    same(values[1], value)
    slopes = torch.func.vmap(torch.func.grad(loss))(twice)
    same(slopes[0], slope)
    hessian = torch.func.hessian(loss)(z)
    same(torch.func.jacrev(torch.func.jacrev(loss))(z), hessian)
    same(torch.func.jacrev(torch.func.jacfwd(loss))(z), hessian)
    # PyTorch would give zeros here, without a word (pytorch/pytorch#197867).
    with pytest.raises(NotImplementedError, match="cannot nest forward mode"):
        torch.func.jacfwd(torch.func.jacfwd(loss))(z)
    same(torch.autograd.functional.hessian(loss, z), hessian)
    checkpointed = checkpoint(loss, leaf, use_reentrant=False)
    same(torch.autograd.grad(checkpointed, leaf)[0], slope)
    # What is constant on purpose has no gradient, where a difference of losses has one.
    if not name.endswith("constant"):
        assert torch.autograd.gradcheck(loss, leaf, check_forward_ad=True, check_batched_grad=True)
        assert torch.autograd.gradgradcheck(loss, leaf)


@pytest.mark.not_quick
@pytest.mark.parametrize("name", [*MOST_USED, *map(slow, COMPILED)])
def test_torch_compile_and_export(name: str) -> None:
    loss, z = summed_call(TORCH, name), torch.tensor(LOGITS)
    expected = torch.func.grad(loss)(z)
    torch._dynamo.reset()
    leaf = z.clone().requires_grad_()
    value = torch.compile(loss, fullgraph=True)(leaf)
    same(value.detach(), loss(z))
    same(torch.autograd.grad(value, leaf)[0], expected)
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            same(torch.compile(loss, fullgraph=True)(z), loss(z))
    torch._dynamo.reset()
    value = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")(leaf)
    same(torch.autograd.grad(value, leaf)[0], expected)

    class Module(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return loss(z)

    exported = torch.export.export(Module(), (z,)).module()
    same(exported(z), loss(z))


def test_torch_compile_with_only_gamma_learned() -> None:
    z, t = torch.tensor(LOGITS), torch.tensor(IDS)
    gamma = torch.nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
    loss = focal_torch.SoftmaxFocalLoss(gamma=gamma, reduction="mean")
    expected = torch.autograd.grad(loss(z, t), gamma)
    compiled = torch.compile(loss, fullgraph=True)
    slope = torch.autograd.grad(compiled(z, t), gamma)
    same(slope[0], expected[0])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torch_autocast(dtype: torch.dtype) -> None:
    """The loss of half-precision logits is computed in float32, inside autocast as outside."""
    layer = torch.nn.Linear(5, 3)
    layer.load_state_dict({"weight": torch.tensor(KERNEL), "bias": torch.tensor(BIAS)})
    ids = torch.tensor(IDS)
    with torch.autocast("cpu", dtype=dtype):
        logits = layer(torch.tensor(FEATURES))
        loss = focal_torch.softmax_focal_loss(logits, ids, reduction="mean")
    assert logits.dtype == dtype
    assert loss.dtype == torch.float32
    assert loss == focal_torch.softmax_focal_loss(logits.float(), ids, reduction="mean")
    loss.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


def test_torch_module_state() -> None:
    alpha = torch.tensor([0.1, 0.2, 0.3])
    gamma = torch.nn.Parameter(torch.tensor(2.0))
    loss = focal_torch.SoftmaxFocalLoss(alpha=alpha, gamma=gamma)
    assert list(loss.state_dict()) == ["gamma", "alpha"]
    assert loss.to(torch.float64).alpha.dtype == torch.float64
    loss(torch.tensor(LOGITS), torch.tensor(IDS)).sum().backward()
    assert isinstance(loss.gamma, torch.nn.Parameter)
    assert loss.gamma.grad is not None
    assert loss.gamma.grad < 0
    without_arrays = focal_torch.SigmoidFocalLoss()
    assert list(without_arrays.state_dict()) == []
    assert "gamma=2.0" in repr(without_arrays)


def test_settings_are_static_arguments() -> None:
    """Equal settings are one entry in the cache of jax.jit."""
    a, b = focal_jax.SigmoidFocalLoss(gamma=1.0), focal_jax.SigmoidFocalLoss(gamma=1.0)
    assert a == b
    assert hash(a) == hash(b)
    assert a != focal_jax.SigmoidFocalLoss(gamma=2.0)
    call = jax.jit(lambda loss, z: loss(z, z > 0), static_argnums=0)
    assert call(a, jnp.ones(2)).shape == ()
