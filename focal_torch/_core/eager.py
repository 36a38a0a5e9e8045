"""The loss of class ids in eager mode on a CPU, in few operations.

There every operation takes longer than the arithmetic of a small call, and is a pass through memory
for a large one. `softmax.py` composes the same function of rules that hold everywhere; this is one
rule for reverse mode, without logits of +inf, and needs a quarter of their operations.

    z    logits (…, C)        t    class ids (…, 1)        q, s    1 − p_t and −log p_t (…)
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from .._base.arrays import Number, large, multiply_no_nan, upcast
from .._base.collectives import Group
from .._base.tracing import is_eager
from .._base.versions import is_batched
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
    if not PLAIN.issuperset(map(type, (z, t, alpha, weight))):
        return None
    if not z.is_cpu or t.dtype != torch.int64 or t.shape != z.shape[:-1]:
        return None
    try:
        if not z.detach().max().item() < math.inf:
            return None
        rule = _EagerIdFocal.apply if z.requires_grad and torch.is_grad_enabled() else _id_focal
        loss = rule(z, t.unsqueeze(-1), gamma)
    except RuntimeError:
        # Without elements there is no maximum, and looking classes up finds ids outside [0, C): a
        # check before it would take as long as an eighth of the loss.
        return None
    if isinstance(alpha, Tensor):
        loss = multiply_no_nan(alpha[t], loss)
    return loss if weight is None else multiply_no_nan(weight, loss)


def _id_focal(z: Tensor, t: Tensor, gamma: float) -> Tensor:
    loss, _, _ = _focal_q_s(z, t, gamma)
    return loss


def _focal_q_s(z: Tensor, t: Tensor, gamma: float) -> tuple[Tensor, Tensor, Tensor]:
    log_p = torch.log_softmax(upcast(z), -1)
    log_p_t = log_p.gather(-1, t)
    # Without t in the sum, instead of 1 − p_t, which cancels.
    q = log_p.exp_().scatter_(-1, t, 0.0).sum(-1)
    # The margin u_t is log p_t − log q: log p_t alone would be 0 where p_t rounds to 1.
    s = functional.softplus(q.log().sub_(log_p_t.squeeze(-1)), threshold=SOFTPLUS_IS_LINEAR)
    return power(q, gamma) * s, q, s


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
        slope = (cotangent * power(q, ctx.gamma) * bracket).unsqueeze(-1)
        of_t = slope * -q.unsqueeze(-1)
        grad = torch.log_softmax(upcast(z), -1).exp_().mul_(slope).scatter_(-1, t, of_t)
        return grad.to(z.dtype), None, None


def _grad_by_rules(z: Tensor, t: Tensor, gamma: float, cotangent: Tensor) -> Tensor:
    """The gradient by rules that can be differentiated again, and mapped."""
    # A backward pass runs with create_graph where its gradients are differentiated.
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Of a view: the hooks of the logits are called where this gradient arrives.
        x = z.view_as(z)
        loss = focal(margin(x, t, None, Group()), gamma)
        (grad,) = torch.autograd.grad(loss, x, cotangent, create_graph=again)
    return grad
