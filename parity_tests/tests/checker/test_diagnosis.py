"""The checker passes what is right, fails each published mistake, and says why."""

from collections.abc import Iterator
from itertools import product
from types import ModuleType
from typing import Any

import jax
import pytest
import torch
from torch.nn.functional import cross_entropy

import focal_jax
import focal_torch
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import check, layers_of
from parity_tests.checker.layers.judge import FAIL
from parity_tests.ports.subject import Plan, Subject
from parity_tests.tests.parametrize import slow
from parity_tests.wrong_ports import MISTAKES as WRONG

# Each published mistake, the layer that has to fail, and what the report has to say.
MISTAKES = {
    "alpha_on_positives_only": ("values", "positive_only"),
    "alpha_reversed": ("values", "negative"),
    "alpha_sentinel_applied": ("values", "alpha_sentinel"),
    "asymmetric_clamped_logarithm": ("values", "clipped_logarithm"),
    "asymmetric_interpolated": ("values", "interpolated"),
    "asymmetric_powers_exchanged": ("values", "powers_exchanged"),
    "asymmetric_shift_of_positives": ("values", "shift_on_positives"),
    "asymmetric_without_shift": ("values", "shift_ignored"),
    "broadcast_targets": ("shapes", "broadcast"),
    "clipped_probabilities": ("values", "capped"),
    "detached_modulator": ("gradients", "detached"),
    "doubled_negatives": ("values", "doubled_negatives"),
    "gamma_off_the_grid": ("values", "gamma_plus_one"),
    "half_precision_sum": ("options", "half_sum"),
    "hard_modulator_for_soft_targets": ("soft targets", "hard_modulator"),
    "heatmap_clamped": ("values", "clamped_sigmoid"),
    "heatmap_gamma_falls_off": ("values", "falloff_as_focusing"),
    "heatmap_log_plus_epsilon": ("values", "clipped_logarithm"),
    "heatmap_peaks_twice": ("values", "peaks_twice"),
    "log_of_p_plus_epsilon": ("values", "capped"),
    "mean_over_ignored": ("options", "mean_all"),
    "mixture_for_soft_targets": ("soft targets", "mixture"),
    "one_minus_p": ("values", "cancels"),
    "overflowing_exponent": ("values", "overflows"),
    "power_of_zero": ("gradients", "nan_gradient"),
    "quality_without_abs": ("soft targets", "signed_quality"),
    "sigmoid_for_softmax": ("values", "sigmoid"),
    "softmax_clipped": ("values", "capped"),
    "softmax_through_log_p": ("values", "cancels"),
    "varifocal_alpha_of_positives": ("values", "alpha_on_positives"),
    "varifocal_log_of_one_minus_p": ("values", "infinite"),
    "varifocal_modulator_flows": ("gradients", "flowing_modulator"),
    "varifocal_modulator_held": ("gradients", "held_modulator"),
    "weight_in_the_divisor": ("options", "mean_weights"),
}
FUNCTIONS = (
    "sigmoid_focal_loss",
    "softmax_focal_loss",
    "SigmoidFocalLoss",
    "SoftmaxFocalLoss",
    "WeightedFocalLoss",
)
# A class calls the function: what it may get wrong is the settings that it hands on.
OF_A_CLASS = ("values", "soft targets", "gradients", "options", "neighbours")


# Classes that call what is asked about in JAX anyway, and that PyTorch has with the same arguments.
ONLY_IN_TORCH = ("SoftmaxFocalLoss", "WeightedFocalLoss")


def whole_checks() -> Iterator[Any]:
    """A parameter for each loss of each package but two classes of JAX.

    The slow ones are the classes and the softmax of JAX: without jit it compiles each operation for
    each shape.
    """
    for package, name in product((focal_jax, focal_torch), FUNCTIONS):
        if package is focal_jax and name in ONLY_IN_TORCH:
            continue
        is_class = name.endswith("Loss")
        takes_long = is_class or (package is focal_jax and name == "softmax_focal_loss")
        marks = pytest.mark.slow if takes_long else ()
        yield pytest.param(package, name, marks=marks, id=f"{package.__name__}-{name}")


@pytest.fixture(autouse=True)
def as_users_have_it() -> Iterator[None]:
    """Nothing but the port itself may refuse a shape or a dtype."""
    with jax.numpy_rank_promotion("allow"), jax.numpy_dtype_promotion("standard"):
        yield


def diagnoses(port: Subject, plan: Plan) -> set[str]:
    return {diagnosis.name for diagnosis in diagnose(port, plan)}


# Their checks take the longest: each asks for a float64 twin, for all layers of a softmax loss, or
# for many operations that JAX compiles one by one.
LONG = (
    "alpha_on_positives_only",
    "asymmetric_interpolated",
    "asymmetric_powers_exchanged",
    "asymmetric_shift_of_positives",
    "asymmetric_without_shift",
    "power_of_zero",
    "sigmoid_for_softmax",
)
QUICK = [name for name in MISTAKES if name not in LONG]


@pytest.mark.parametrize("name", [*QUICK, *map(slow, LONG)])
def test_a_mistake_fails_and_is_named(name: str) -> None:
    wrong = WRONG[name]
    port = build(Options(**wrong.options))
    layer, expected = MISTAKES[name]
    report = check(port, port.plan, [layer])
    assert [row.status for row in report.rows] == ["PASS", FAIL]
    assert expected in diagnoses(port, port.plan)


def test_every_mistake_is_in_the_table() -> None:
    assert MISTAKES.keys() == WRONG.keys()


@pytest.mark.parametrize(("package", "name"), list(whole_checks()))
def test_the_packages_pass(package: ModuleType, name: str) -> None:
    framework = package.__name__.removeprefix("focal_")
    port = build(Options(f"{package.__name__}:{name}", framework=framework))
    layers = layers_of(port.plan.record)
    if name.endswith("Loss"):
        layers = [layer for layer in layers if layer in OF_A_CLASS]
    report = check(port, port.plan, layers)
    assert [row for row in report.rows if row.status == FAIL] == []
    assert len(report.rows) == 1 + len(layers)
    assert not diagnoses(port, port.plan)


@pytest.mark.parametrize("dtype", ["float64", slow("float16")])
@pytest.mark.parametrize("name", ["sigmoid_focal_loss", "softmax_focal_loss"])
def test_the_packages_pass_in_other_dtypes(name: str, dtype: str) -> None:
    port = build(Options(f"focal_torch:{name}", framework="torch"), dtype)
    report = check(port, port.plan)
    assert [row for row in report.rows if row.status == FAIL] == []


def weighted_p_t(logits, targets, *, alpha=None, gamma=2.0, axis=-1):
    ce = cross_entropy(logits, targets, weight=alpha, reduction="none")
    return (1 - torch.exp(-ce)) ** gamma * ce


def with_weights(logits, targets, *, alpha=None, gamma=2.0, axis=-1):
    return focal_torch.softmax_focal_loss(logits, targets, alpha=alpha, gamma=gamma, axis=axis)


def test_a_p_t_of_the_weighted_cross_entropy_is_named() -> None:
    port = build(Options(weighted_p_t, function="softmax_focal_loss", framework="torch"))
    assert "weighted_p_t" in diagnoses(port, port.plan)
    port = build(Options(with_weights, function="softmax_focal_loss", framework="torch"))
    assert not diagnoses(port, port.plan)


def test_weights_of_three_classes_are_cut_for_questions_of_two() -> None:
    options = Options(
        with_weights,
        function="softmax_focal_loss",
        framework="torch",
        fixed={"alpha": [0.25, 0.5, 2.0]},
    )
    port = build(options)
    report = check(port, port.plan, ["values", "special values"])
    assert all(row.status != FAIL for row in report.rows)


def of_probabilities(p, targets, *, alpha=0.25, gamma=2.0):
    positive = -alpha * torch.log(p) * (1 - p) ** gamma
    negative = -(1 - alpha) * torch.log1p(-p) * p**gamma
    return targets * positive + (1 - targets) * negative


def test_probabilities_in_half_precision_are_judged() -> None:
    options = Options(
        of_probabilities,
        function="sigmoid_focal_loss",
        framework="torch",
        renamed={"logits": "p"},
        probabilities=True,
    )
    port = build(options, "bfloat16")
    # Rounded to bfloat16, a probability may be 1, which no logit has.
    (row,) = check(port, port.plan, ["soft targets"]).rows[1:]
    assert row.count
