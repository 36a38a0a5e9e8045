"""The formula that a sigmoid port has, found by its losses at ordinary logits, where rounding does
not matter."""

import itertools
from collections.abc import Iterator
from functools import cache
from typing import Any

import mpmath
import numpy as np

from parity_tests.ports.subject import GRADIENT
from parity_tests.truth import readings

from .evidence import Diagnosis, Evidence

ORDINARY = (-2.0, -0.75, 0.5, 1.25)
POINTS = tuple(itertools.product(ORDINARY, (0, 1)))
Setting = tuple[float, Any]

ALPHA_SAYS = {
    "positive": "your alpha weights class 1 by α and class 0 by 1 − α (the paper's convention)",
    "negative": "your alpha weights the negatives: class 0 gets α, class 1 gets 1 − α (tutorial convention)",
    "positive_only": "your alpha weights class 1 alone, class 0 has weight 1 (a pos_weight)",
    "both": "your alpha is a common factor of both classes",
    "ignored": "your alpha has no effect",
    "doubled_negatives": "your negatives count twice, 2·(1 − α), as soon as there is an α",
    "squared": "your alpha is applied twice",
    "negative_only": "your alpha weights class 0 alone, by 1 − α; class 1 has weight 1",
}
FORM_SAYS = {
    "FL": "your loss is (1 − p_t)^γ·BCE [eq. 4]",
    "FL*": "your loss is the paper's other form, FL* = softplus(−γ·u)/γ [eq. 9]",
    "gamma_ignored": "your gamma has no effect: this is cross entropy",
    "gamma_plus_one": "your exponent is γ + 1",
    "gamma_minus_one": "your exponent is γ − 1",
    "gamma_doubled": "your exponent is 2γ",
    "gamma_halved": "your exponent is γ/2",
    "gamma_squared": "your exponent is γ²",
    "swapped_targets": "your targets are the wrong way round: target 1 gets the loss of target 0",
    "modulator_of_p_t": "your modulating factor is p_t^γ, not (1 − p_t)^γ",
    "modulator_of_p": "your modulating factor is (1 − p)^γ for both classes; for class 0 it is p^γ",
    "modulator_of_1_minus_p": "your modulating factor is p^γ for both classes; for class 1 it is (1 − p)^γ",
    "modulator_outside": "your loss lacks the factor −log p_t",
    "sigmoid_twice": "your logits go through the sigmoid twice",
    "log_base_2": "your logarithm is to base 2",
    "log_base_10": "your logarithm is to base 10",
    "positives_only": "your loss leaves out the negatives",
    "negated": "your loss has the wrong sign",
}
SOFT_SAYS = {
    "interpolate": "soft targets follow the interpolated rule, (1 − p_t)^γ·BCE (optax, torchvision, Keras)",
    "mixture": "soft targets follow kornia's rule, y·f(z) + (1 − y)·f(−z)",
    "margin": "soft targets follow MONAI's rule, σ(−z·(2y − 1))^γ·BCE",
    "exp_bce": "soft targets follow the rule of segmentation-models-pytorch and catalyst, (1 − exp(−BCE))^γ·BCE",
    "quality": "soft targets follow the quality focal loss, |y − p|^γ·BCE",
    "legacy": "soft targets follow effdet's rule, exp(−γ·y·z − γ·softplus(−z))·BCE",
    "hard_modulator": "soft targets are rounded to 0 or 1 in the modulating factor",
    "scaled_margin": "soft targets scale the margin: your loss is f((2y − 1)·z)",
    "rounded": "soft targets are rounded to 0 or 1",
}


@cache
def predicted(
    alpha_rule: str, form: str, gamma: float, alpha: float | None, beta: float = 0.0
) -> tuple[float, ...]:
    """A reading's losses at the ordinary points."""
    with mpmath.workdps(20):
        extra = (beta,) if form == "FL*" else ()
        losses = [
            readings.FORM[form](mpmath.mpf(z), y, mpmath.mpf(gamma), *extra) for z, y in POINTS
        ]
        factors = [
            1 if alpha is None else readings.ALPHA[alpha_rule](y, mpmath.mpf(alpha))
            for _, y in POINTS
        ]
        return tuple(float(a * x) for a, x in zip(factors, losses, strict=True))


def diagnose(evidence: Evidence) -> Iterator[Diagnosis]:
    """The readings of α and of the formula that explain every answer, or those answers that are not
    explained."""
    plan = evidence.plan
    answers = _answers(evidence)
    own = (plan.convention("alpha"), plan.convention("form"))
    # An error of the port is a finding of its layer, and says nothing of its formula.
    answers = {setting: got for setting, got in answers.items() if got is not None}
    wrong = [setting for setting in answers if not _fits(evidence, answers, *own, setting)]
    if wrong:
        found = _explain(evidence, answers, own, list(answers))
        yield from found or _partly(evidence, answers, own, wrong)
        return
    yield from _slope(evidence, own)
    yield from _soft(evidence)


def _answers(evidence: Evidence) -> dict[Setting, np.ndarray | None]:
    gammas = [g for g in (2.0, 1.5, 0.5, 0.0) if g in evidence.gammas] or list(evidence.gammas[:1])
    fixed = evidence.plan.fixed
    alphas = (
        [fixed["alpha"]]
        if "alpha" in fixed
        else [0.25, 0.75, *((None,) if evidence.plan.without_alpha else ())]
    )
    logits, targets = zip(*POINTS, strict=True)
    return {(g, a): evidence.ask(logits, list(targets), g, a) for g in gammas for a in alphas}


def _fits(evidence: Evidence, answers: Any, alpha_rule: str, form: str, setting: Setting) -> bool:
    gamma, alpha = setting
    if form == "FL*" and not gamma:
        return answers[setting] is not None
    beta = evidence.plan.fixed.get("beta", 0.0)
    return evidence.agrees(answers[setting], predicted(alpha_rule, form, gamma, alpha, beta))


def _explain(
    evidence: Evidence, answers: Any, own: tuple[str, str], settings: list[Setting]
) -> list[Diagnosis]:
    """The reading nearest to the declared one that fits all of these settings."""
    pairs = itertools.product((own[0], *readings.ALPHA), (own[1], *readings.FORM))
    for alpha_rule, form in sorted(
        pairs, key=lambda pair: (pair[0] != own[0]) + (pair[1] != own[1])
    ):
        if all(_fits(evidence, answers, alpha_rule, form, setting) for setting in settings):
            said = [Diagnosis(alpha_rule, ALPHA_SAYS[alpha_rule])] if alpha_rule != own[0] else []
            return said + ([Diagnosis(form, FORM_SAYS[form])] if form != own[1] else [])
    return []


def _partly(
    evidence: Evidence, answers: Any, own: tuple[str, str], wrong: list[Setting]
) -> Iterator[Diagnosis]:
    """A formula that is right for some settings only, or a constant factor, or none that is
    known."""
    sentinel = [
        (g, a) for g, a in wrong if a is None and _is_sentinel(evidence, answers, own[1], g)
    ]
    if sentinel:
        yield Diagnosis(
            "alpha_sentinel",
            "alpha=None is applied as the number −1: class 1 gets −1, class 0 gets 2",
        )
    if not (rest := [setting for setting in wrong if setting not in sentinel]):
        return
    if fixed := _deaf(answers):
        yield Diagnosis(
            "gamma_fixed",
            f"your gamma has no effect: the loss has γ = {fixed:g} whatever is passed",
        )
    elif found := _explain(evidence, answers, own, rest):
        where = ", ".join(f"γ = {g:g}" for g in dict.fromkeys(g for g, _ in rest))
        yield from (Diagnosis(name, f"{says}; only for {where}") for name, says in found)
    elif factor := _factor(evidence, answers, own, rest):
        yield Diagnosis("factor", f"your loss is {factor:.6g} times this one")
    else:
        gamma, alpha = rest[0]
        yield Diagnosis(
            "unknown", f"your loss is none of the known formulas at γ = {gamma:g}, α = {alpha}"
        )


def _deaf(answers: Any) -> float | None:
    """2, if the losses for γ = 2 are those for every γ."""
    groups: dict[Any, dict[float, Any]] = {}
    for (gamma, alpha), got in answers.items():
        groups.setdefault(alpha, {})[gamma] = got
    with_2 = [found for found in groups.values() if 2.0 in found and len(found) > 1]
    same = all(np.array_equal(got, found[2.0]) for found in with_2 for got in found.values())
    return 2.0 if same and with_2 else None


def _is_sentinel(evidence: Evidence, answers: Any, form: str, gamma: float) -> bool:
    return evidence.agrees(answers[(gamma, None)], predicted("positive", form, gamma, -1.0))


def _factor(
    evidence: Evidence, answers: Any, own: tuple[str, str], settings: list[Setting]
) -> float:
    ratios = []
    for gamma, alpha in settings:
        got, truth = answers[(gamma, alpha)], np.array(predicted(*own, gamma, alpha))
        ratios += [] if got is None else (got / truth).tolist()
    spread = np.ptp(ratios) if ratios else np.inf
    return float(np.mean(ratios)) if spread <= evidence.near * abs(np.mean(ratios)) else 0.0


def _slope(evidence: Evidence, own: tuple[str, str]) -> Iterator[Diagnosis]:
    """A gradient that is not the derivative of the loss, although the loss is right."""
    if not evidence.differentiates():
        return
    gamma = next((g for g in (2.0, 0.5) if g in evidence.gammas), evidence.gammas[-1])
    logits, targets = zip(*POINTS, strict=True)
    got = evidence.ask(logits, list(targets), gamma, evidence.alpha, GRADIENT)
    loss = readings.declared(own[0], "interpolate", own[1], evidence.plan.fixed.get("beta", 0.0))
    with mpmath.workdps(30):
        truth = np.array(
            [float(readings.derivative(loss, z, y, evidence.alpha, gamma, 1)) for z, y in POINTS]
        )
        detached = [float(_detached(z, y, evidence.alpha, gamma, own[0])) for z, y in POINTS]
    if got is None:
        yield Diagnosis("no_gradient", "your loss cannot be differentiated in its logits")
    elif evidence.agrees(got, truth):
        return
    elif evidence.agrees(got, detached):
        yield Diagnosis(
            "detached", "you detach p_t: the gradient lacks the derivative of (1 − p_t)^γ"
        )
    elif np.ptp(got / truth) <= evidence.near * abs(np.mean(got / truth)):
        yield Diagnosis(
            "gradient_factor", f"your gradient is {np.mean(got / truth):.6g} times the derivative"
        )
    else:
        yield Diagnosis("gradient", "your gradient is not the derivative of your loss")


def _detached(z: float, y: int, alpha: float | None, gamma: float, alpha_rule: str) -> Any:
    u = z if y else -z
    factor = mpmath.mpf(1) if alpha is None else readings.ALPHA[alpha_rule](y, mpmath.mpf(alpha))
    return -(1 if y else -1) * factor * readings.sigmoid(-mpmath.mpf(u)) ** (gamma + 1)


def _soft(evidence: Evidence) -> Iterator[Diagnosis]:
    """Which of the rules for soft targets the port has, if not the one that it should."""
    rule, gamma = evidence.plan.convention("soft_targets"), evidence.gammas[-1]
    if rule == "hard" or evidence.plan.convention("form") != "FL":
        return
    samples = list(itertools.product(ORDINARY, (0.3, 0.8)))
    got = evidence.ask(
        [z for z, _ in samples], np.array([y for _, y in samples]), gamma, evidence.alpha
    )
    for name in (rule, *readings.SOFT):
        loss = _weighted(evidence, name)
        with mpmath.workdps(20):
            expected = [
                float(loss(mpmath.mpf(z), mpmath.mpf(y), evidence.alpha, gamma)) for z, y in samples
            ]
        if evidence.agrees(got, expected):
            if name != rule:
                yield Diagnosis(name, SOFT_SAYS[name])
            return
    if got is not None:
        yield Diagnosis("soft_unknown", "soft targets follow none of the known rules")


def _weighted(evidence: Evidence, name: str) -> readings.Loss:
    def loss(z: Any, y: Any, a: Any, g: Any) -> Any:
        if a is None:
            return readings.SOFT[name](z, y, g)
        if name == "mixture":
            ends = [readings.ALPHA[evidence.plan.convention("alpha")](end, a) for end in (0, 1)]
            return y * ends[1] * readings.focal(z, g) + (1 - y) * ends[0] * readings.focal(-z, g)
        return readings.ALPHA[evidence.plan.convention("alpha")](y, a) * readings.SOFT[name](
            z, y, g
        )

    return loss
