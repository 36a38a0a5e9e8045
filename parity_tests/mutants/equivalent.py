"""Mutants that compute the same, each with the reason."""

import re
from functools import cache

from .mutant import Mutant, original

# By the end of the module's path: patterns of the line before and after the change.
REASONS: dict[tuple[str, str], str] = {
    ("", r".*strict=True.*  →  .*strict=False.*"): "the lengths agree",
    ("", r".*\[\.\.\., 0\].*  →  .*\[\.\.\., -1\].*"): "the last axis has length 1",
    (
        "_core/eager.py",
        r"q = log_p.*\.sum\(-1, True\)  →  .*\.sum\(1, True\)",
    ): "rows in more than one axis do not fit then, and go the general way, to the same loss",
    (
        "_core/eager.py",
        r"if z.requires_grad and torch.is_grad_enabled\(\):  →  if z.requires_grad or .*",
    ): "the rule has the same loss where it is not differentiated",
    (
        "_core/heatmap.py",
        r"return .* [+] 0 [*] y  →  .* - 0 [*] y",
    ): "0 · y is 0 or NaN, and so is what is added",
    (
        "_core/focal.py",
        r"SOFTPLUS_IS_LINEAR = 40  →  .*",
    ): "from 37 on a softplus is its argument to the last bit of float64",
    (
        "_core/focal.py",
        r"LARGE_GAMMA = 6  →  .*",
    ): "products and powers are both within the tolerance; which one it is costs time alone",
    (
        "_core/focal.py",
        r"whole = .* gamma < LARGE_GAMMA else 0  →  .* (gamma (<=|>)|not gamma <) LARGE_GAMMA .*",
    ): "products and powers are both within the tolerance; which one it is costs time alone",
    (
        "_core/focal.py",
        r"whole = .* else 0  →  .* else 1",
    ): "one of the factors of a power is written before it",
    (
        "_core/focal.py",
        r"if base.dtype == .* or gamma >= LARGE_GAMMA:  →  .* (and .* >=|or gamma >) LARGE_GAMMA:",
    ): "a power of two parts is as exact as one of γ, in float64 and of a whole number",
    (
        "_core/focal.py",
        r"coarse = int\(gamma \* 256\) / 256  →  coarse = int\(gamma \* 25[57]\) / 256",
    ): "any multiple of 1/256 near γ will do",
    ("_core/focal.py", r"positive = u >= 0  →  positive = u > 0"): "p and q are both ½ at 0",
    (
        "_core/interpolated_pt.py",
        r"wrong = .*\(z >= 0, .*  →  .*\(z > 0, .*",
    ): "it is multiplied by |z|, which is 0 there",
    (
        "_core/interpolated_pt.py",
        r"safe_m = .*\(underflows, 1, m\)  →  .*\(underflows, [02], m\)",
    ): "where m underflows, what is made of this number is not selected",
    (
        "_core/interpolated_pt.py",
        r"odds = .*\(small, 0, pt\) / safe_m  →  .*\(small, -?1, pt\) / safe_m",
    ): "where m is small, what is made of this number is not selected",
    (
        "_core/interpolated_pt.py",
        r"a = .*\(underflows, .*  →  .*(, -?1\)\.cl\w+\(0,|, 0\)\.cl\w+\( -?1,) large\(\)\)",
    ): "exp(−γ·a) is selected only where m underflows, and there |z| is far above 1",
    (
        "_core/interpolated_pt.py",
        r"smallest = 1e4 \* .*  →  smallest = (9999|10001)\.0 \* .*",
    ): "any bound will do whose square does not overflow",
    (
        "_core/interpolated_pt.py",
        r"return .*\(_underflows\(m\), 0, -p_minus_q.*  →  .*\(_underflows\(m\), -?1, .*",
    ): "nothing is promised for second derivatives in targets where m underflows",
    (
        "_core/linear_scan.py",
        r"varying_zero = .* \+ zero  →  varying_zero = .* - zero",
    ): "it is 0",
    (
        "_core/margin.py",
        r"sum_exp = .*where, sum_exp, 1\)  →  .*where, sum_exp, 2\)",
    ): "the margin of what is left out is set to 0 afterwards",
    (
        "_core/softmax.py",
        r'CLASSES = .*  →  .*"alpha": - 0, .*',
    ): "α has one axis",
    (
        "_core/softmax.py",
        r"return loss \* select\(no_class, .*  →  return loss / select\(no_class, .*",
    ): "by NaN or by 1",
    (
        "_core/softmax.py",
        r"nearest = t.clip.*  →  nearest = t.clip\((0, classes (\+ 1|- 0)| -1, classes - 1)\)",
    ): "the loss of an id that is no class is NaN, whatever JAX looks up",
    (
        "_core/softmax.py",
        r"finite = .*, maximum, 0\)  →  .*, maximum, -?1\)",
    ): "a row of nothing but −inf or NaN is NaN, whatever is taken off",
    (
        "_core/softmax.py",
        r".*\(has_largest, rank\(group\), -1\), group\)  →  .*, - 2\), group\)",
    ): "no rank has this number, either",
    (
        "_core/softmax.py",
        r"return .*last == rank\(group\), top_id, -1\)  →  .*, top_id, - 2\)",
    ): "no class has this id, either",
    (
        "_core/softmax.py",
        r"return .*\(top, 1, total - .*\(top, 0, exp_z\)\)  →  .*\(top, -?1, exp_z\)\)",
    ): "of the largest, the difference is not selected",
    (
        "hyperparameters.py",
        r"(rare|return) .*x < 0.5.*  →  .*x <= 0.5.*",
    ): "at ½ both are the same, and the odds are 0",
    (
        "hyperparameters.py",
        r"(odds|clamped|if) .*rare < 0.25.*  →  .*rare <= 0.25.*",
    ): "both forms are exact at ¼",
    (
        "hyperparameters.py",
        r"clamped = .*\(rare < 0.25, 0.25, rare\)  →  .*, (1.25|-0.75), rare\)",
    ): "in the tail, what is made of this number is not selected",
    (
        "posterior.py",
        r"positive = .*\(small > 0, .*  →  .*\(small > -1, .*",
    ): "where exp(−|u|) underflows, a posterior is 0 or 1 whatever r is",
    (
        "posterior.py",
        r"safe_small = .*\(small > 0, small, 1\)  →  .*, [02]\)",
    ): "where exp(−|u|) underflows, what is made of this number is not selected",
}
CHANGES = {place: place[1].split("  →  ") for place in REASONS}


@cache
def reason(mutant: Mutant) -> str:
    """Why a mutant is no fault, or ""."""
    line = original(mutant.path).splitlines()[mutant.line - 1].strip()
    for place, (before, after) in CHANGES.items():
        if not mutant.path.endswith(place[0]) or not re.fullmatch(before, line):
            continue
        # This takes longest: the module is changed.
        changed = mutant.lines().rpartition("  →  ")[2]
        if re.fullmatch(after, changed):
            return REASONS[place]
    return ""
