"""Layer 8, transformations: the losses inside everything that the frameworks do to functions."""

from collections.abc import Callable, Iterator
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import torch
from flax import nnx
from torch.utils.checkpoint import checkpoint

import focal_jax
import focal_torch
from parity_tests.contract.exact import Draws
from parity_tests.tests.parametrize import slow
from parity_tests.versions.older import update, without_float64

DRAWS = Draws(0)
LOGITS, PROBABILITIES = DRAWS.bell((4, 3)) * 3, DRAWS.simplex(4, 3)
BITS, IDS = DRAWS.integers(0, 2, (4, 3)), DRAWS.integers(0, 3, 4)
FEATURES = DRAWS.bell((4, 5)).astype(np.float32)
KERNEL, BIAS = (DRAWS.bell(shape).astype(np.float32) for shape in ((3, 5), (3,)))
CALLS: dict[str, tuple[str, np.ndarray, dict[str, Any]]] = {
    "sigmoid hard": ("sigmoid_focal_loss", BITS, {"gamma": 1.5}),
    "sigmoid interpolate": ("sigmoid_focal_loss", PROBABILITIES, {}),
    "sigmoid mixture": (
        "sigmoid_focal_loss",
        PROBABILITIES,
        {"soft_targets": "mixture", "reduction": "mean_positive"},
    ),
    "softmax ids": ("softmax_focal_loss", IDS, {"axis": 1, "reduction": "mean"}),
    "softmax smooth": (
        "softmax_focal_loss",
        IDS,
        {"axis": 1, "label_smoothing": 0.1, "gamma": 0.5},
    ),
    "softmax soft": ("softmax_focal_loss", PROBABILITIES, {"axis": 1, "gamma": 2.7}),
}
MOST_USED = ("sigmoid hard", "softmax ids")
OTHERS = [
    pytest.param(name, marks=pytest.mark.not_quick) for name in CALLS if name not in MOST_USED
]
each_call = pytest.mark.parametrize("name", [*MOST_USED, *OTHERS])


def jax_loss(name: str) -> Callable[[jax.Array], jax.Array]:
    function, targets, settings = CALLS[name]
    loss, y = getattr(focal_jax, function), jnp.asarray(targets)
    return lambda z: loss(z, y, **settings).sum()


def torch_loss(name: str) -> Callable[[torch.Tensor], torch.Tensor]:
    function, targets, settings = CALLS[name]
    loss, y = getattr(focal_torch, function), torch.tensor(targets)
    return lambda z: loss(z, y, **settings).sum()


def same(got: Any, expected: Any) -> None:
    """Equal up to the rounding of sums in another order."""
    got, expected = np.asarray(got), np.asarray(expected)
    assert np.abs(got - expected).max() <= 64 * np.finfo(got.dtype).eps * np.abs(expected).max()


@each_call
def test_jax_transformations(name: str) -> None:
    loss, z = jax_loss(name), jnp.asarray(LOGITS)
    value, slope = loss(z), jax.grad(loss)(z)
    same(jax.jit(loss)(z), value)
    for result in (
        jax.jit(jax.value_and_grad(loss))(z),
        jax.jit(jax.value_and_grad(jax.checkpoint(loss)))(z),
    ):
        same(result[0], value)
        same(result[1], slope)
    same(jax.jvp(loss, (z,), (z,))[1], (slope * z).sum())
    same(jax.jit(jax.vmap(loss))(jnp.stack([z, z]))[1], value)
    same(jax.jit(jax.vmap(jax.grad(loss)))(jnp.stack([z, z]))[0], slope)
    _, scanned = jax.lax.scan(lambda carry, x: (carry, jax.grad(loss)(x)), 0, jnp.stack([z, z]))
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
        value, slope = jax.jit(jax.value_and_grad(jax_loss(name)))(z)
        assert value.dtype == slope.dtype == jnp.float32
    # The logits were rounded to float32, which moves a gradient that cancels by more than its own
    # eps.
    np.testing.assert_allclose(slope, jax.grad(jax_loss(name))(jnp.asarray(LOGITS)), rtol=1e-4)


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
    for settings in ({}, {"where": jnp.arange(4)[:, None] > 0}):

        def loss(z: jax.Array, settings: dict[str, Any] = settings) -> jax.Array:
            return focal_jax.sigmoid_focal_loss(
                z, jnp.asarray(targets), gamma=gamma, **settings
            ).sum()

        jax.grad(loss)(z)
        jax.hessian(loss)(z)
    for labels in (jnp.asarray(IDS), jnp.asarray(PROBABILITIES)):
        jax.grad(lambda z, t=labels: focal_jax.softmax_focal_loss(z, t, gamma=gamma).sum())(z)


def test_vmap_over_gamma_and_alpha() -> None:
    gammas, alphas = np.array([0.0, 0.5, 2.0, 5.0]), np.array([0.0, 0.25, 0.5, 1.0])
    expected = [
        float(
            focal_jax.sigmoid_focal_loss(
                jnp.asarray(LOGITS), jnp.asarray(BITS), alpha=a, gamma=g, reduction="sum"
            )
        )
        for a, g in zip(alphas.tolist(), gammas.tolist(), strict=True)
    ]
    z, y = jnp.asarray(LOGITS), jnp.asarray(BITS)
    ours = jax.vmap(
        lambda a, g: focal_jax.sigmoid_focal_loss(z, y, alpha=a, gamma=g, reduction="sum")
    )
    same(ours(jnp.asarray(alphas), jnp.asarray(gammas)), expected)
    zt, yt = torch.tensor(LOGITS), torch.tensor(BITS)
    theirs = torch.func.vmap(
        lambda a, g: focal_torch.sigmoid_focal_loss(zt, yt, alpha=a, gamma=g, reduction="sum")
    )
    same(theirs(torch.tensor(alphas), torch.tensor(gammas)), expected)


@each_call
def test_torch_transformations(name: str) -> None:
    loss, z = torch_loss(name), torch.tensor(LOGITS)
    value, slope = loss(z), torch.func.grad(loss)(z)
    leaf = z.clone().requires_grad_()
    loss(leaf).backward()
    same(leaf.grad, slope)
    same(torch.func.jvp(loss, (z,), (z,))[1], (slope * z).sum())
    same(torch.func.vmap(loss)(torch.stack([z, z]))[1], value)
    same(torch.func.vmap(torch.func.grad(loss))(torch.stack([z, z]))[0], slope)
    hessian = torch.func.hessian(loss)(z)
    same(torch.func.jacrev(torch.func.jacrev(loss))(z), hessian)
    same(torch.func.jacrev(torch.func.jacfwd(loss))(z), hessian)
    # PyTorch would give zeros here, without a word (pytorch/pytorch#197867).
    with pytest.raises(NotImplementedError, match="cannot nest forward mode"):
        torch.func.jacfwd(torch.func.jacfwd(loss))(z)
    same(torch.autograd.functional.hessian(loss, z), hessian)
    checkpointed = checkpoint(loss, leaf, use_reentrant=False)
    same(torch.autograd.grad(checkpointed, leaf)[0], slope)
    assert torch.autograd.gradcheck(loss, leaf, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(loss, leaf)


@pytest.mark.not_quick
@pytest.mark.parametrize("name", [name if name in MOST_USED else slow(name) for name in CALLS])
def test_torch_compile_and_export(name: str) -> None:
    loss, z = torch_loss(name), torch.tensor(LOGITS)
    torch._dynamo.reset()
    leaf = z.clone().requires_grad_()
    value = torch.compile(loss, fullgraph=True)(leaf)
    same(value.detach(), loss(z))
    same(torch.autograd.grad(value, leaf)[0], torch.func.grad(loss)(z))
    for context in (torch.no_grad(), torch.enable_grad()):
        with context:
            same(torch.compile(loss, fullgraph=True)(z), loss(z))
    torch._dynamo.reset()
    value = torch.compile(loss, fullgraph=True, dynamic=True, backend="aot_eager")(leaf)
    same(torch.autograd.grad(value, leaf)[0], torch.func.grad(loss)(z))

    class Module(torch.nn.Module):
        def forward(self, z: torch.Tensor) -> torch.Tensor:
            return loss(z)

    same(torch.export.export(Module(), (z,)).module()(z), loss(z))


def test_torch_compile_with_only_gamma_learned() -> None:
    z, t, gamma = (
        torch.tensor(LOGITS),
        torch.tensor(IDS),
        torch.nn.Parameter(torch.tensor(1.5, dtype=torch.float64)),
    )
    loss = focal_torch.SoftmaxFocalLoss(gamma=gamma, reduction="mean")
    eager = torch.autograd.grad(loss(z, t), gamma)[0]
    same(torch.autograd.grad(torch.compile(loss, fullgraph=True)(z, t), gamma)[0], eager)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_torch_autocast(dtype: torch.dtype) -> None:
    """The loss of half-precision logits is computed in float32, inside autocast as outside."""
    layer, x = torch.nn.Linear(5, 3), torch.tensor(FEATURES)
    layer.load_state_dict({"weight": torch.tensor(KERNEL), "bias": torch.tensor(BIAS)})
    with torch.autocast("cpu", dtype=dtype):
        logits = layer(x)
        loss = focal_torch.softmax_focal_loss(logits, torch.tensor(IDS), reduction="mean")
    assert logits.dtype == dtype
    assert loss.dtype == torch.float32
    assert loss == focal_torch.softmax_focal_loss(
        logits.float(), torch.tensor(IDS), reduction="mean"
    )
    loss.backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.isfinite().all()


def test_torch_module_state() -> None:
    loss = focal_torch.SoftmaxFocalLoss(
        alpha=torch.tensor([0.1, 0.2, 0.3]), gamma=torch.nn.Parameter(torch.tensor(2.0))
    )
    assert list(loss.state_dict()) == ["gamma", "alpha"]
    assert loss.to(torch.float64).alpha.dtype == torch.float64
    loss(torch.tensor(LOGITS), torch.tensor(IDS)).sum().backward()
    assert isinstance(loss.gamma, torch.nn.Parameter)
    assert loss.gamma.grad is not None
    assert loss.gamma.grad < 0
    assert list(focal_torch.SigmoidFocalLoss().state_dict()) == []
    assert "gamma=2.0" in repr(focal_torch.SigmoidFocalLoss())


ALPHAS = [None, jnp.array([0.2, 0.3, 0.5])]


@pytest.mark.parametrize("alpha", ALPHAS, ids=["constant", "array"])
def test_in_an_nnx_training_loop(alpha: Any) -> None:
    class Classifier(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.layer = nnx.Linear(5, 3, rngs=rngs, param_dtype=jnp.float32)
            self.loss = focal_jax.SoftmaxFocalLoss(alpha=alpha, reduction="mean")

    model, x = Classifier(nnx.Rngs(0)), jnp.asarray(FEATURES)
    optimizer = nnx.Optimizer(model, optax.sgd(0.1), wrt=nnx.Param)

    @nnx.jit
    def step(model: Classifier, optimizer: Any) -> jax.Array:
        loss, grads = nnx.value_and_grad(lambda m: m.loss(m.layer(x), jnp.asarray(IDS)))(model)
        update(optimizer, model, grads)
        return loss

    losses = [float(step(model, optimizer)) for _ in range(5)]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


@pytest.mark.not_quick
@pytest.mark.parametrize("alpha", [ALPHAS[0], slow(ALPHAS[1])], ids=["constant", "array"])
def test_in_a_linen_training_loop(alpha: Any) -> None:
    class Classifier(flax.linen.Module):
        loss: focal_jax.SoftmaxFocalLoss

        @flax.linen.compact
        def __call__(self, x: jax.Array, targets: jax.Array) -> jax.Array:
            return self.loss(flax.linen.Dense(3)(x), targets)

    model = Classifier(focal_jax.SoftmaxFocalLoss(alpha=alpha, reduction="mean"))
    x, t = jnp.asarray(FEATURES), jnp.asarray(IDS)
    params, optimizer = model.init(jax.random.key(1), x, t), optax.sgd(0.1)
    state, losses = optimizer.init(params), []
    for _ in range(5):
        loss, grads = jax.jit(jax.value_and_grad(lambda p: model.apply(p, x, t)))(params)
        updates, state = optimizer.update(grads, state)
        params = optax.apply_updates(params, updates)
        losses.append(float(loss))
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0]


def test_settings_are_static_arguments() -> None:
    """Equal settings are one entry in the cache of jax.jit."""
    a, b = focal_jax.SigmoidFocalLoss(gamma=1.0), focal_jax.SigmoidFocalLoss(gamma=1.0)
    assert a == b
    assert hash(a) == hash(b)
    assert a != focal_jax.SigmoidFocalLoss(gamma=2.0)
    assert jax.jit(lambda loss, z: loss(z, z > 0), static_argnums=0)(a, jnp.ones(2)).shape == (2,)
