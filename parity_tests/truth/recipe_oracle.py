"""The truth about what papers advise around the loss, in arbitrary precision, from mpmath alone.

Results are named entries of a jet: bias, alpha0, alpha1, …, gamma, and posterior, or posterior0, …
of a softmax. As in the loss, q and 1 − q are each computed by themselves.
"""

from collections.abc import Sequence

import mpmath
from mpmath import mpf

from .jets import Jet, Real, Term


def prior_bias(pi: float) -> Jet:
    """log(π / (1 − π)): Lin et al., arXiv:1708.02002, section 4.1."""
    return Jet({("bias",): Term.of(mpmath.log(mpf(pi) / (1 - mpf(pi))))})


def alpha_from_counts(counts: Sequence[float], beta: float = 1.0) -> Jet:
    """α_c ∝ (1 − β) / (1 − β^n_c): Cui et al., arXiv:1901.05555, equation (2), with the mean 1."""
    b = mpf(beta)
    shares = [1 / mpf(n) if b == 1 else (1 - b) / (1 - b ** mpf(n)) for n in counts]
    return Jet(
        {(f"alpha{c}",): Term.of(len(shares) * x / sum(shares)) for c, x in enumerate(shares)}
    )


def gamma_flsd(p_t: float, threshold: float = 0.2, below: float = 5.0, above: float = 3.0) -> Jet:
    """FLSD-53 of Mukhoti et al., arXiv:2002.09437."""
    return Jet({("gamma",): Term.of(mpf(below if p_t < threshold else above))})


def posterior_from_focal(logits: float | Sequence[float], gamma: float = 2.0) -> Jet:
    """Ψ^γ: Charoenphakdee et al., arXiv:2011.09172, Theorem 11. One logit is that of a sigmoid.

    An error of an exponent is a relative one of the result, so the scale holds the largest
    exponent.
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
