"""How far a result may be from the truth: requirements with their reasons, never recordings of what
the code does.

Errors are counted in units of eps, the distance from 1 to the next number of the dtype, relative to
the scale of the result. For a single product the scale is the magnitude of the result itself. For a
sum it is the sum of the magnitudes of its terms, which is what rounding acts on. Nothing is added:
the only floor is the smallest normal number, below which hardware may flush to 0. No tolerance
grows with the size of an array.
"""

import math

import ml_dtypes
import numpy as np

DTYPES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
}
EPS = {name: float(ml_dtypes.finfo(dtype).eps) for name, dtype in DTYPES.items()}
LARGEST = {name: float(ml_dtypes.finfo(dtype).max) for name, dtype in DTYPES.items()}
SMALLEST_NORMAL = {
    name: float(ml_dtypes.finfo(dtype).smallest_normal) for name, dtype in DTYPES.items()
}

VALUE, GRADIENT, HESSIAN = 0, 1, 2

# A loss is a product of four rounded functions, and q^γ multiplies the rounding of q by γ. Each
# derivative adds two more factors to the longest product.
SIGMOID = {VALUE: 3.0, GRADIENT: 4.0, HESSIAN: 6.0}
PER_GAMMA = 2.0
# The margin of a softmax is rounded with its logits, and the scale holds what that costs; γ enters
# it there.
SOFTMAX = 8.0
# A quality focal loss is judged as the other rules for soft targets. Its |y − p| is a difference of
# (1 − y)·p and y·q, and each derivative's scale holds what their rounding costs, as that of a sum
# does. At p = y itself nothing is asked of a derivative that does not exist, but that it is finite.
# Nor is much asked of second derivatives in targets close to it: a power has γ·(γ − 1) as a factor
# in its closed form in logits, and γ² − γ where the slope in logits is differentiated in targets.
# Of a heatmap (1 − y)^β multiplies the rounding of 1 − y by β, as q^γ does that of q by γ. The
# negatives of an asymmetric loss are focal losses of the logit of p − shift, a margin that is
# rounded as a softmax's is and loses digits where p is close to the shift: the scale holds both,
# and the softmax's limit is theirs. Its positives have the limit of a sigmoid, so that the sum of
# both has the larger one.
# Of a linear layer, logits and gradients are sums of twenty products or fewer: half a unit of the
# magnitudes of their terms for each addition.
PRODUCTS = 10.0
# What surrounds the loss has up to eight roundings. A posterior is a quotient of exponentials,
# whose exponents the scale holds: (1 + γ) times a margin of at most 2·max|z|, rounded five times by
# half a unit, above and below the line.
RECIPE = 10.0
RECIPES = ("prior_bias", "alpha_from_counts", "gamma_flsd", "posterior_from_focal", "two_hot")
# Arithmetic is in float32, so that all that is left is one rounding to the nearest half-precision
# number.
HALF = 1.0


# Hardware may flush a number below the smallest normal one to 0. In a second derivative terms that
# small are still multiplied by logits and by γ before they are added.
FLOOR = {
    name: {VALUE: tiny, GRADIENT: tiny, HESSIAN: tiny / EPS[name]}
    for name, tiny in SMALLEST_NORMAL.items()
}
# Beyond this |logit| 1 − p_t is below the smallest normal number.
UNDERFLOW = {name: -math.log(tiny) for name, tiny in SMALLEST_NORMAL.items()}


def allowed(
    function: str, key: tuple[str, ...], gamma: float, dtype: str, logit: float = 0.0
) -> float:
    """The largest error of the derivative in the variables of `key`, in eps.

    `gamma` is the power whose base is rounded: of a heatmap γ + β.
    """
    order = len(key)
    if dtype in ("float16", "bfloat16"):
        return HALF
    if function in RECIPES:
        return RECIPE
    if function == "sigmoid_focal_loss" and "targets" in key:
        # Nothing is promised for second derivatives in targets at which 1 − p_t or its power
        # vanishes: they hold q^(γ − 2). In the first, q^γ is exp(−γ·|z|) and has the rounding of
        # that product, while q itself is gone.
        size = abs(logit)
        limit = UNDERFLOW[dtype] - 10
        if order == HESSIAN and (gamma + 1) * size > limit:
            return math.inf
        if size > limit:
            return SIGMOID[order] + gamma * size
    if function == "softmax_focal_loss":
        return SOFTMAX
    if function == "linear_softmax_focal_loss":
        return SOFTMAX + PRODUCTS
    limit = SIGMOID[order] + PER_GAMMA * gamma
    if function == "asymmetric_loss":
        return max(SOFTMAX, limit)
    return limit
