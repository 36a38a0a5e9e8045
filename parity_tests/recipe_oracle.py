"""The truth about what papers advise around the loss, in arbitrary precision, from mpmath alone.

Results are named entries of a jet: bias, alpha0, alpha1, …, gamma, and posterior, or posterior0, … of a softmax.
As in the loss, q and 1 − q are each computed by themselves.
"""

from collections.abc import Sequence

import mpmath
import numpy as np
from mpmath import mpf

from .exact import Draws
from .jets import Jet, Real, Term
from .tolerances import DTYPES

# A table of samples: the names of its columns, and a row for each.
Samples = tuple[tuple[str, ...], np.ndarray]


def prior_bias(pi: float) -> Jet:
    """log(π / (1 − π)): Lin et al., arXiv:1708.02002, section 4.1."""
    return Jet({("bias",): Term.of(mpmath.log(mpf(pi) / (1 - mpf(pi))))})


def alpha_from_counts(counts: Sequence[float], beta: float = 1.0) -> Jet:
    """α_c ∝ (1 − β) / (1 − β^n_c): Cui et al., arXiv:1901.05555, equation (2), with the mean 1."""
    b = mpf(beta)
    shares = [1 / mpf(n) if b == 1 else (1 - b) / (1 - b ** mpf(n)) for n in counts]
    return Jet({(f"alpha{c}",): Term.of(len(shares) * x / sum(shares)) for c, x in enumerate(shares)})


def gamma_flsd(p_t: float, threshold: float = 0.2, below: float = 5.0, above: float = 3.0) -> Jet:
    """FLSD-53 of Mukhoti et al., arXiv:2002.09437."""
    return Jet({("gamma",): Term.of(mpf(below if p_t < threshold else above))})


def posterior_from_focal(logits: float | Sequence[float], gamma: float = 2.0) -> Jet:
    """Ψ^γ: Charoenphakdee et al., arXiv:2011.09172, Theorem 11. One logit is that of a sigmoid.

    An error of an exponent is a relative one of the result, so the scale holds the largest exponent.
    """
    z = [mpf(x) for x in (logits if isinstance(logits, Sequence) else (logits, 0))]
    parts = [_unnormalised(z, c, mpf(gamma)) for c in range(len(z))]
    stretch = 1 + (1 + mpf(gamma)) * max(map(abs, z))
    terms = [Term(h / sum(parts), h / sum(parts) * stretch) for h in parts]
    if not isinstance(logits, Sequence):
        return Jet({("posterior",): terms[0]})
    return Jet({(f"posterior{c}",): term for c, term in enumerate(terms)})


def _unnormalised(z: list[Real], c: int, gamma: Real) -> Real:
    """h(q) = q / ((1 − q)^γ − γ·(1 − q)^(γ−1)·q·log q) for the class c of a softmax."""
    own, rest = mpmath.exp(z[c]), sum(mpmath.exp(x) for k, x in enumerate(z) if k != c)
    q, miss, log = own / (own + rest), rest / (own + rest), -mpmath.log1p(rest / own)
    return q / (miss**gamma - gamma * miss ** (gamma - 1) * q * log)


def samples(dtype: str) -> dict[str, list[Samples]]:
    """Function -> seeded samples in the numbers that the dtype has."""
    draws = Draws(0)
    tail = draws.decades(-7, -1, 12)
    priors = np.concatenate([[1e-30, 0.01, 0.4999, 0.5001], tail, 1 - tail, draws.uniform(0.1, 0.9, 12)])
    counts = np.floor(draws.decades(0, 7, (40, 4)))
    betas = np.resize([0.0, 0.5, 0.99, 0.9999, 1.0], 40)
    p_t = np.concatenate([[0.0, 0.2, 1.0], draws.uniform(0, 1, 13)])
    flsd = np.stack([p_t, *(np.resize(x, 16) for x in ([0.2, 0.2, 0.5], [5.0, 5.0, 2.7], [3.0, 3.0, 0.1]))], -1)
    scales = np.resize([0.1, 1.0, 8.0, 30.0], 40)
    one = np.stack([draws.bell(40) * scales, draws.choice([0, 0.5, 1, 2, 5], 40)], -1)
    many = np.column_stack([draws.bell((40, 3)) * scales[:, None], draws.choice([0, 0.5, 1, 2, 5], 40)])
    tables: dict[str, list[Samples]] = {
        "prior_bias": [(("pi",), priors[:, None])],
        "alpha_from_counts": [(("counts0", "counts1", "counts2", "counts3", "beta"), np.column_stack([counts, betas]))],
        "gamma_flsd": [(("p_t", "threshold", "below", "above"), flsd)],
        "posterior_from_focal": [(("logits", "gamma"), one), (("logits0", "logits1", "logits2", "gamma"), many)],
    }
    return {
        name: [(names, points.astype(DTYPES[dtype]).astype(float)) for names, points in group]
        for name, group in tables.items()
    }
