"""The checker passes what is right, fails what is wrong, and says why."""

from collections.abc import Iterator
from itertools import product
from types import ModuleType
from typing import Any

import jax
import pytest

import focal_jax
import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import LAYERS, check
from parity_tests.checker.layers.judge import FAIL
from parity_tests.tests.parametrize import slow
from parity_tests.wrong_ports import MISTAKES as WRONG

# Each published mistake, the layer that has to fail, and what the report has to say.
MISTAKES = {
    "alpha_on_positives_only": ("values", "positive_only"),
    "alpha_reversed": ("values", "negative"),
    "alpha_sentinel_applied": ("values", "alpha_sentinel"),
    "broadcast_targets": ("shapes", "broadcast"),
    "clipped_probabilities": ("values", "capped"),
    "detached_modulator": ("gradients", "detached"),
    "doubled_negatives": ("values", "doubled_negatives"),
    "gamma_off_the_grid": ("values", "gamma_plus_one"),
    "half_precision_sum": ("options", "half_sum"),
    "hard_modulator_for_soft_targets": ("soft targets", "hard_modulator"),
    "log_of_p_plus_epsilon": ("values", "capped"),
    "mean_over_ignored": ("options", "mean_all"),
    "mixture_for_soft_targets": ("soft targets", "mixture"),
    "one_minus_p": ("values", "cancels"),
    "overflowing_exponent": ("values", "overflows"),
    "power_of_zero": ("gradients", "nan_gradient"),
    "sigmoid_for_softmax": ("values", "sigmoid"),
    "softmax_clipped": ("values", "capped"),
    "softmax_through_log_p": ("values", "cancels"),
    "weight_in_the_divisor": ("options", "mean_weights"),
}
FUNCTIONS = (
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "WeightedFocalLoss",
)


PACKAGES = (focal_jax, focal_torch)


def passes(package: ModuleType, name: str) -> Any:
    """A parameter of a whole check.

    The classes call the functions, and JAX without jit compiles each operation of the softmax for
    each shape.
    """
    takes_long = name.endswith("Loss") or (package is focal_jax and name == "softmax_focal_loss")
    marks = [pytest.mark.slow] * takes_long
    return pytest.param(package, name, marks=marks, id=f"{package.__name__}-{name}")


@pytest.fixture(autouse=True)
def as_users_have_it() -> Iterator[None]:
    """Nothing but the port itself may refuse a shape or a dtype."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def mistake(name: str) -> Options:
    wrong = WRONG[name]
    return Options(wrong.loss, function=wrong.function, framework="jax")


# Their checks take the longest: each asks for a float64 twin, or for all layers of a softmax loss.
LONG = ("alpha_on_positives_only", "power_of_zero", "sigmoid_for_softmax")


@pytest.mark.parametrize("name", [slow(name) if name in LONG else name for name in MISTAKES])
def test_a_mistake_fails_and_is_named(name: str) -> None:
    port = build(mistake(name))
    layer, expected = MISTAKES[name]
    report = check(port, port.plan, [layer])
    assert [row.status for row in report.rows] == ["PASS", FAIL]
    assert expected in {found.name for found in diagnose(port, port.plan)}


def test_every_mistake_is_in_the_table() -> None:
    assert MISTAKES.keys() == WRONG.keys()


@pytest.mark.parametrize(
    ("package", "name"), [passes(*pair) for pair in product(PACKAGES, FUNCTIONS)]
)
def test_the_packages_pass(package: ModuleType, name: str) -> None:
    port = build(
        Options(f"{package.__name__}:{name}", framework=package.__name__.removeprefix("focal_"))
    )
    report = check(port, port.plan)
    assert [row for row in report.rows if row.status == FAIL] == []
    assert len(report.rows) == 1 + len(LAYERS)
    assert diagnose(port, port.plan) == ()


@pytest.mark.parametrize("dtype", ["float64", "bfloat16", slow("float16")])
@pytest.mark.parametrize("name", ["sigmoid_focal_loss", "softmax_focal_loss"])
def test_the_packages_pass_in_every_dtype(name: str, dtype: str) -> None:
    port = build(Options(f"focal_torch:{name}", framework="torch"), dtype)
    assert [row for row in check(port, port.plan).rows if row.status == FAIL] == []


# Ports of one formula each, with the convention under which it is right, and what is said of it
# without.
CONVENTIONS: dict[str, dict[str, Any]] = {
    "negative": {"conventions": {"alpha": "negative"}},
    "positive_only": {"conventions": {"alpha": "positive_only"}},
    "both": {"conventions": {"alpha": "both"}},
    "mixture": {"conventions": {"soft_targets": "mixture"}},
    "margin": {"conventions": {"soft_targets": "margin"}},
    "exp_bce": {"conventions": {"soft_targets": "exp_bce"}},
    "quality": {"conventions": {"soft_targets": "quality"}},
    "FL*": {"conventions": {"form": "FL*"}, "fixed": {"beta": 0.0}},
}


def sigmoid_port(kind: str) -> Any:
    """An exact port but for its convention, in float64 PyTorch from the library's own function."""
    import torch
    from torch.nn.functional import logsigmoid

    def plain(z: torch.Tensor, y: torch.Tensor, gamma: float) -> torch.Tensor:
        return focal_torch.sigmoid_focal_loss(z, y, alpha=None, gamma=gamma)

    def soft(z: torch.Tensor, y: torch.Tensor, gamma: float) -> torch.Tensor:
        bce = plain(z, y, 0.0)
        factors = {
            "margin": lambda: torch.sigmoid(-z * (2 * y - 1)) ** gamma,
            "exp_bce": lambda: (1 - torch.exp(-bce)) ** gamma,
            "quality": lambda: (y * torch.sigmoid(-z) - (1 - y) * torch.sigmoid(z)).abs() ** gamma,
        }
        if kind == "FL*":
            return -logsigmoid(gamma * (2 * y - 1) * z) / gamma
        hard = (y == 0) | (y == 1)
        return (
            torch.where(hard, plain(z, y, gamma), factors[kind]() * bce)
            if kind in factors
            else plain(z, y, gamma)
        )

    def loss(
        logits: torch.Tensor, targets: torch.Tensor, alpha: float | None, gamma: float
    ) -> torch.Tensor:
        if kind == "mixture":
            return focal_torch.sigmoid_focal_loss(
                logits, targets, alpha=alpha, gamma=gamma, soft_targets="mixture"
            )
        if alpha is None:
            return soft(logits, targets, gamma)
        weights = {
            "negative": targets * (1 - alpha) + (1 - targets) * alpha,
            "positive_only": targets * alpha + (1 - targets),
            "both": torch.full_like(logits, alpha),
        }
        return weights.get(kind, targets * alpha + (1 - targets) * (1 - alpha)) * soft(
            logits, targets, gamma
        )

    return loss


@pytest.mark.parametrize("kind", CONVENTIONS)
def test_a_declared_convention_is_judged_by(kind: str) -> None:
    """The same port passes its values where it says what it is, and fails with its name where it
    does not."""
    options = Options(
        sigmoid_port(kind), function="sigmoid_focal_loss", framework="torch", **CONVENTIONS[kind]
    )
    port = build(options, "float64")
    rows = {row.layer: row for row in check(port, port.plan, ("values", "soft targets")).rows}
    assert rows["values"].status != FAIL, rows["values"]
    # The power rule of this port is not finite for the others.
    if kind in ("negative", "positive_only", "both", "mixture"):
        assert rows["soft targets"].status != FAIL, rows["soft targets"]
    undeclared = build(Options(sigmoid_port(kind), function="sigmoid_focal_loss", framework="torch",
                               fixed={"gamma": 2.0} if kind == "FL*" else {}), "float64")  # fmt: skip
    rows = {
        row.layer: row
        for row in check(undeclared, undeclared.plan, ("values", "soft targets")).rows
    }
    assert FAIL in {row.status for row in rows.values()}
    assert kind in {found.name for found in diagnose(undeclared, undeclared.plan)}
