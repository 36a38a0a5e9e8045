"""What docs/recipes.md says about training, in float64: accumulated gradients are those of the
whole batch, a learned γ stays positive, a γ that changes compiles nothing, and what probabilities
lose."""

from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
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
from parity_tests.contract.exact import Draws, spaced
from parity_tests.contract.port import Port
from parity_tests.contract.tolerances import EPS
from parity_tests.pages.page_code import blocks
from parity_tests.tests import ROOT
from parity_tests.tests.parametrize import both_packages

# Sums of a hundred terms in two orders, whose terms are larger than the sum.
CLOSE = 1024 * EPS["float64"]
VOID = 255
LOGITS = Draws(1810).bell((8, 6, 3))
IDS = Draws(1811).integers(0, 3, (8, 6))
# The first half of the samples has fewer labels, so that means of means differ.
FEW = np.where(np.arange(8)[:, None] < 4, 1, 6)
PARTIAL = np.where(np.arange(6) < FEW, IDS, VOID)
# Functions of each framework, by name.
OF: dict[str, dict[str, Any]] = {
    "jax": {
        "log": jnp.log,
        "log1p": jnp.log1p,
        "sigmoid": jax.nn.sigmoid,
        "softmax": jax.nn.softmax,
    },
    "torch": {
        "log": torch.log,
        "log1p": torch.log1p,
        "sigmoid": torch.sigmoid,
        "softmax": torch.softmax,
    },
}


def from_page(name: str) -> Any:
    """A function or class as the page has it, after the code around it was run."""
    pages = blocks(ROOT / "docs" / "recipes.md")
    [code] = [code for code, _ in pages if f"def {name}(" in code or f"class {name}(" in code]
    names: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(code, "recipes.md", "exec"), names)
    return names[name]


def differ_by(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b)) / np.max(np.abs(b)))


@both_packages
def test_sums_over_all_that_is_kept_accumulate_to_the_whole_batch(port: Port) -> None:
    def slope(rows: slice, reduction: str) -> np.ndarray:
        settings = {"axis": -1, "ignore_index": VOID, "reduction": reduction}
        ids = port.array(PARTIAL[rows])
        loss = partial(port.module.softmax_focal_loss, targets=ids, **settings)
        return port.gradient(loss, LOGITS[rows])

    parts = [slice(start, start + 2) for start in range(0, 8, 2)]
    whole = slope(slice(None), "mean")
    kept = np.count_nonzero(PARTIAL != VOID)
    sums = np.concatenate([slope(part, "sum") for part in parts]) / kept
    assert_allclose(sums, whole, rtol=CLOSE)
    means = np.concatenate([slope(part, "mean") for part in parts]) / len(parts)
    assert differ_by(means, whole) > 0.5


def trainer_gradient(loss: Callable[..., torch.Tensor], items: Any, parts: int) -> np.ndarray:
    """What a Trainer accumulates in the weights of a model: it divides by nothing."""
    weights = torch.eye(3, dtype=torch.float64, requires_grad=True)
    x = torch.tensor(LOGITS)
    labels = torch.tensor(np.where(PARTIAL == VOID, -100, PARTIAL))
    for rows, ids in zip(x.chunk(parts), labels.chunk(parts), strict=True):
        outputs = SimpleNamespace(logits=rows @ weights)
        loss(outputs, ids, items).backward()
    assert weights.grad is not None
    return weights.grad.numpy()


@pytest.fixture(scope="module")
def compute_loss() -> Any:
    return from_page("compute_loss")


@pytest.mark.parametrize("kind", [int, torch.tensor])
def test_a_trainer_that_passes_the_number_of_items(kind: Any, compute_loss: Any) -> None:
    items = kind(np.count_nonzero(PARTIAL != VOID))
    whole = trainer_gradient(compute_loss, None, 1)
    assert_allclose(trainer_gradient(compute_loss, items, 4), whole, rtol=CLOSE)
    assert_allclose(trainer_gradient(compute_loss, items, 1), whole, rtol=CLOSE)
    means = trainer_gradient(compute_loss, None, 4) / 4
    assert differ_by(means, whole) > 0.05


def test_a_trainer_without_any_label(compute_loss: Any) -> None:
    outputs = SimpleNamespace(logits=torch.tensor(LOGITS[:1]))
    nothing = torch.full((1, 6), -100)
    assert compute_loss(outputs, nothing, torch.tensor(0)) == 0
    assert compute_loss(outputs, nothing) == 0


@both_packages
@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_a_learned_gamma_only_grows_by_the_loss_itself(port: Port, gamma: float) -> None:
    """The derivative is Σ FL·log(1 − p_t), which is below 0 whatever the model predicts."""
    logits, ids = port.array(LOGITS), port.array(IDS)
    settings: dict[str, Any] = {"axis": -1, "reduction": "sum"}

    def loss(exponent: Any) -> Any:
        return port.module.softmax_focal_loss(logits, ids, gamma=exponent, **settings)

    slope = port.gradient(loss, np.array(gamma))
    e = np.exp(LOGITS)
    p_t = np.take_along_axis(e / e.sum(-1, keepdims=True), IDS[..., None], -1)
    expected = np.sum((1 - p_t) ** gamma * -np.log(p_t) * np.log1p(-p_t))
    assert_allclose(slope, expected, rtol=CLOSE)
    assert slope < 0


def jax_gammas(learner: Any) -> list[float]:
    """γ before and after each step of a penalty that would have it below 0."""
    model = learner(nnx.Rngs(0))
    gammas = [float(model.gamma())]
    for _ in range(50):
        slope = nnx.grad(lambda model: (model.gamma() + 1) ** 2)(model)
        model.raw[...] = model.raw[...] - 2.0 * slope.raw[...]
        gammas.append(float(model.gamma()))
    return gammas


def torch_gammas(learner: Any) -> list[float]:
    model = learner()
    optimizer = torch.optim.SGD([model.raw], 2.0)
    gammas = [model.gamma().item()]
    for _ in range(50):
        optimizer.zero_grad()
        ((model.gamma() + 1) ** 2).backward()
        optimizer.step()
        gammas.append(model.gamma().item())
    return gammas


def learners() -> dict[str, Any]:
    """The classes of the page, by what their modules are of."""
    pages = blocks(ROOT / "docs" / "recipes.md")
    found: dict[str, Any] = {}
    for code, _ in pages:
        if "class Learner(" in code:
            names: dict[str, Any] = {"__name__": "__main__"}
            # Without the training, which the tests of the pages run.
            head, _, _ = code.partition("\nmodel = ")
            with jax.numpy_dtype_promotion("standard"):
                exec(compile(head, "recipes.md", "exec"), names)
            found["jax" if "nnx" in code else "torch"] = names["Learner"]
    return found


@pytest.mark.parametrize(("framework", "train"), [("jax", jax_gammas), ("torch", torch_gammas)])
def test_a_learned_gamma_moves_and_stays_positive(framework: str, train: Any) -> None:
    with jax.numpy_dtype_promotion("standard"):
        gammas = train(learners()[framework])
    assert gammas[0] == pytest.approx(1, rel=1e-6)
    assert np.all(np.diff(gammas) < 0)
    assert 0 < gammas[-1] < 0.1


class Counted:
    """A compiler that runs the graph as it is, and counts how often it was asked."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, graph: torch.fx.GraphModule, example: list[Any]) -> Any:
        self.count += 1
        return graph.forward


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_a_tensor_that_changes_compiles_nothing_in_torch(name: str) -> None:
    loss = getattr(focal_torch, f"{name}_focal_loss")
    z = torch.tensor(LOGITS[0], requires_grad=True)
    targets = torch.tensor(IDS[0] if name == "softmax" else np.eye(3, dtype=int)[IDS[0]])
    module = focal_torch.SoftmaxFocalLoss if name == "softmax" else focal_torch.SigmoidFocalLoss
    held = module(gamma=torch.tensor(0.0, dtype=torch.float64), reduction="mean")
    held_gamma = dict(held.named_buffers())["gamma"]
    for_function, for_module = Counted(), Counted()
    compiled = torch.compile(loss, fullgraph=True, backend=for_function)
    compiled_module = torch.compile(held, fullgraph=True, backend=for_module)
    for gamma in spaced(0, 2, 9).tolist():
        exponent = torch.tensor(gamma, dtype=torch.float64)
        held_gamma.fill_(gamma)
        eager = loss(z, targets, gamma=exponent, reduction="mean")
        for found in (
            compiled(z, targets, gamma=exponent, reduction="mean"),
            compiled_module(z, targets),
        ):
            assert_allclose(found.item(), eager.item(), rtol=CLOSE)
    assert (for_function.count, for_module.count) == (1, 1)


@pytest.mark.parametrize("name", ["sigmoid", "softmax"])
def test_an_array_that_changes_compiles_nothing_in_jax(name: str) -> None:
    loss = getattr(focal_jax, f"{name}_focal_loss")
    targets = jnp.array(IDS[0] if name == "softmax" else np.eye(3, dtype=int)[IDS[0]])
    traced: list[str] = []

    @jax.jit
    def step(z: jax.Array, gamma: jax.Array) -> jax.Array:
        traced.append(name)
        return loss(z, targets, gamma=gamma, reduction="mean")

    z = jnp.array(LOGITS[0])
    for gamma in spaced(0, 2, 9):
        eager = loss(z, targets, gamma=gamma, reduction="mean")
        assert_allclose(step(z, jnp.array(gamma)), eager, rtol=CLOSE)
    assert traced == [name]


@both_packages
def test_probabilities_of_a_softmax_lose_nothing(port: Port) -> None:
    logits = LOGITS.astype(np.float32)
    logits[..., 0] += np.float32(20)
    loss = partial(port.module.softmax_focal_loss, axis=-1)
    z, ids = port.array(logits), port.array(IDS)
    log_p = OF[port.name]["log"](OF[port.name]["softmax"](z, -1))
    # A logarithm near −20 is rounded, and with γ = 2 its error is tripled.
    rounding = 128 * EPS["float32"]
    assert_allclose(port.numpy(loss(log_p, ids)), port.numpy(loss(z, ids)), rtol=rounding)


def test_what_probabilities_of_a_sigmoid_lose() -> None:
    """From a logit of 17 on p is 1 in float32; far below 0 all of it is there."""
    z = np.array([-30.0, -5.0, 0.0, 5.0, 16.0, 17.0], np.float32)
    exact = focal_torch.sigmoid_focal_loss(torch.tensor(z), torch.ones(6), alpha=None).numpy()
    p = torch.tensor(z).sigmoid()
    assert p[-2] < 1
    assert p[-1] == 1
    ours = focal_torch.sigmoid_focal_loss(p.log() - (-p).log1p(), torch.ones(6), alpha=None)
    off = np.abs(ours.numpy() / exact - 1)
    assert np.all(off[:3] < 16 * EPS["float32"])
    assert 16 * EPS["float32"] < off[3] < 1e-3
    assert off[4] > 0.1
    assert off[5] == 1

    q = jax.nn.sigmoid(jnp.array(z))
    theirs = focal_jax.sigmoid_focal_loss(jnp.log(q) - jnp.log1p(-q), jnp.ones(6), alpha=None)
    assert np.all(np.abs(theirs / exact - 1)[:3] < 16 * EPS["float32"])


@both_packages
@pytest.mark.parametrize(("target", "loss"), [(1, 0.0), (0, np.inf)])
def test_a_probability_of_1_has_no_gradient(port: Port, target: int, loss: float) -> None:
    targets = port.array(np.array([target]))
    sigmoid, log, log1p = (OF[port.name][name] for name in ("sigmoid", "log", "log1p"))

    def focal(z: Any) -> Any:
        p = sigmoid(z)
        return port.module.sigmoid_focal_loss(log(p) - log1p(-p), targets, alpha=None)

    z = np.array([17.0], np.float32)
    assert_array_equal(port.numpy(focal(port.array(z))), [loss])
    assert np.isnan(port.gradient(focal, z)).all()


@both_packages
def test_divisors_of_ones_own(port: Port) -> None:
    settings: dict[str, Any] = {"axis": -1, "alpha": port.array(np.array([1.0, 0.5, 2.0]))}
    loss = partial(port.module.softmax_focal_loss, port.array(LOGITS), port.array(IDS), **settings)
    rows, total = port.numpy(loss()), port.numpy(loss(reduction="sum"))
    assert_allclose(total / len(IDS), rows.sum(-1).mean(), rtol=CLOSE)
    weights = np.array([1.0, 0.5, 2.0])[IDS]
    by_torch = torch.nn.functional.cross_entropy
    arguments = (torch.tensor(LOGITS).flatten(0, 1), torch.tensor(IDS).flatten())
    expected = by_torch(*arguments, weight=torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64))
    entropy = port.numpy(loss(gamma=0.0, reduction="sum")) / weights.sum()
    assert_allclose(entropy, expected.item(), rtol=CLOSE)
