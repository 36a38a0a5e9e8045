"""The truth about what papers advise around the loss, in arbitrary precision, from mpmath alone.

Results are named entries of a jet: bias, alpha0, alpha1, …, gamma, posterior, or posterior0, … of a
softmax, and targets0, …. As in the loss, q and 1 − q are each computed by themselves.
"""

from collections.abc import Sequence

import mpmath
from mpmath import mpf

from .jets import Jet, Real, Term, column


def prior_bias(pi: float) -> Jet:
    """log(π / (1 − π)): Lin et al., arXiv:1708.02002, section 4.1."""
    p = mpf(pi)
    bias = mpmath.log(p / (1 - p))
    return Jet({("bias",): Term.of(bias)})


def alpha_from_counts(counts: Sequence[float], beta: float = 1.0) -> Jet:
    """α_c ∝ (1 − β) / (1 − β^n_c): Cui et al., arXiv:1901.05555, equation (2), with the mean 1."""
    shares = [_share(mpf(n), mpf(beta)) for n in counts]
    whole = sum(shares)
    jet = Jet()
    for c, share in enumerate(shares):
        jet[(column("alpha", c),)] = Term.of(len(shares) * share / whole)
    return jet


def _share(n: Real, beta: Real) -> Real:
    if beta == 1:
        # The limit, but for a factor that all classes have.
        return 1 / n
    return (1 - beta) / (1 - beta**n)


def gamma_flsd(p_t: float, threshold: float = 0.2, below: float = 5.0, above: float = 3.0) -> Jet:
    """FLSD-53 of Mukhoti et al., arXiv:2002.09437."""
    gamma = below if p_t < threshold else above
    return Jet({("gamma",): Term.of(mpf(gamma))})


def posterior_from_focal(logits: float | Sequence[float], gamma: float = 2.0) -> Jet:
    """Ψ^γ: Charoenphakdee et al., arXiv:2011.09172, Theorem 11. One logit is that of a sigmoid.

    An error of an exponent is a relative one of the result, so the scale holds the largest
    exponent.
    """
    if not isinstance(logits, Sequence):
        return Jet({("posterior",): _posteriors([logits, 0], gamma)[0]})
    jet = Jet()
    for c, term in enumerate(_posteriors(logits, gamma)):
        jet[(column("posterior", c),)] = term
    return jet


def two_hot(values: float, classes: float) -> Jet:
    """max(0, 1 − |v − k|) for each bin k: Li et al., arXiv:2006.04388, equation (6)."""
    jet = Jet()
    for k in range(int(classes)):
        share = max(mpf(0), 1 - abs(mpf(values) - k))
        jet[(column("targets", k),)] = Term.of(share)
    return jet


def _posteriors(logits: Sequence[float], gamma: float) -> list[Term]:
    z = [mpf(x) for x in logits]
    parts = [_unnormalised(z, c, mpf(gamma)) for c in range(len(z))]
    whole = sum(parts)
    largest = max(map(abs, z))
    stretch = 1 + (1 + mpf(gamma)) * largest
    return [Term(part / whole, part / whole * stretch) for part in parts]


def _unnormalised(z: list[Real], c: int, gamma: Real) -> Real:
    """h(q) = q / ((1 − q)^γ − γ·(1 − q)^(γ−1)·q·log q) for the class c of a softmax."""
    own = mpmath.exp(z[c])
    rest = sum(mpmath.exp(x) for k, x in enumerate(z) if k != c)
    q = own / (own + rest)
    miss = rest / (own + rest)
    log = -mpmath.log1p(rest / own)
    return q / (miss**gamma - gamma * miss ** (gamma - 1) * q * log)
