"""The loss of class ids in eager mode on a CPU, in few operations.

There every operation takes longer than the arithmetic of a small call, and is a pass through memory
for a large one. `softmax.py` composes the same function of rules that hold everywhere; this is one
rule for reverse mode, without logits of +inf, and needs a quarter of their operations.

    z    logits (…, C)        t    class ids (…, 1)        q, s    1 − p_t and −log p_t (…, 1)
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from .._base.arrays import Number, compute_dtype, large, multiply_no_nan
from .._base.collectives import ALONE, Group
from .._base.versions import is_batched, is_eager
from .focal import SOFTPLUS_IS_LINEAR, focal, power
from .margin import margin

PLAIN = {Tensor, float, type(None)}


def eager_id_focal(
    z: Tensor,
    t: Tensor,
    alpha: Number,
    gamma: Number,
    smoothing: float,
    *,
    weight: Tensor | None,
    where: Tensor | None,
    group: Group,
) -> Tensor | None:
    """weight·α_t·f(u_t; γ) (…) for class ids t (…), or None where this file has no rule, and where
    an id is no class."""
    if not is_eager():
        return None
    # What a mask leaves out may be NaN.
    if smoothing or group or where is not None or type(gamma) is not float:
        return None
    # Subclasses of tensors may be fake, or in parts.
    if not (type(z) is type(t) is Tensor and type(alpha) in PLAIN and type(weight) in PLAIN):
        return None
    if not z.is_cpu or t.dtype != torch.int64:
        return None
    ids = t.unsqueeze(-1)
    try:
        if z.requires_grad and torch.is_grad_enabled():
            loss = _EagerIdFocal.apply(z, ids, gamma)
        else:
            loss, _, _ = _focal_q_s(z, ids, gamma)
    except RuntimeError:
        # Looking classes up finds ids outside [0, C): a check before it would take as long as an
        # eighth of the loss.
        return None
    if isinstance(alpha, Tensor):
        loss = multiply_no_nan(alpha[t], loss)
    return loss if weight is None else multiply_no_nan(weight, loss)


def _focal_q_s(z: Tensor, t: Tensor, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    """f(u_t; γ) (…), and q and s (…, 1)."""
    log_p = torch.log_softmax(z, -1, compute_dtype(z))
    log_p_t = log_p.gather(-1, t)
    # Without t in the sum, instead of 1 − p_t, which cancels.
    q = log_p.exp_().scatter_(-1, t, 0).sum(-1, True)
    # The margin u_t is log p_t − log q: log p_t alone would be 0 where p_t rounds to 1.
    s = softplus(q.log().sub_(log_p_t), 1, SOFTPLUS_IS_LINEAR)
    # The usual γ without what it takes to choose its products.
    factor = q * q if gamma == 2 else power(q, gamma)
    loss = (factor * s).squeeze_(-1)
    # NaN equals nothing. A softmax is NaN beside inf, where a loss need not be.
    if not loss.equal(loss):
        raise RuntimeError("one of the logits is NaN or inf")
    return loss, q, s


class _EagerIdFocal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, t: Tensor, gamma: float) -> Tensor:
        loss, q, s = _focal_q_s(z, t, gamma)
        ctx.gamma = gamma
        ctx.save_for_backward(z, t, q, s)
        return loss

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None, None]:
        (cotangent,) = cotangents
        z, t, q, s = ctx.saved_tensors
        if torch.is_grad_enabled() or is_batched(cotangent):
            return _grad_by_rules(z, t, ctx.gamma, cotangent), None, None
        # −f′(u)/q = q^γ·(γ·p·s/q + 1), times p_k of every other class k and −q of class t. Where q
        # underflows the power does, too, and the quotient does not matter.
        s = s.clamp(max=large())
        s_over_q = s / q.clamp(min=torch.finfo(q.dtype).tiny)
        bracket = ctx.gamma * torch.exp(-s) * s_over_q + 1
        slope = cotangent.unsqueeze(-1) * power(q, ctx.gamma) * bracket
        grad = torch.log_softmax(z, -1, q.dtype).exp_().mul_(slope).scatter_(-1, t, slope * -q)
        return grad.to(z.dtype), None, None


def _grad_by_rules(z: Tensor, t: Tensor, gamma: float, cotangent: Tensor) -> Tensor:
    """The gradient by rules that can be differentiated again, and mapped."""
    # A backward pass runs with create_graph where its gradients are differentiated.
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Of a view: the hooks of the logits are called where this gradient arrives.
        x = z.view_as(z)
        loss = focal(margin(x, t, None, ALONE), gamma)
        (grad,) = torch.autograd.grad(loss, x, cotangent, create_graph=again)
    return grad
