"""What a lie does to a tensor: to losses, to what a gradient is made of, or to a gradient."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]


def _by(factor: float) -> Change:
    return lambda x: factor * x


def _negated(x: Tensor) -> Tensor:
    return -x


def _zeroed(x: Tensor) -> Tensor:
    return 0 * x


def _leaked(x: Tensor) -> Tensor:
    return x + 2.0**-6


def _shifted(x: Tensor) -> Tensor:
    """Each row has that of its neighbour."""
    return torch.roll(x, 1, 0) if x.ndim else x


def _averaged(x: Tensor) -> Tensor:
    return x.mean().expand_as(x)


def _without_sign(x: Tensor) -> Tensor:
    return x.abs()


def _signs(x: Tensor) -> Tensor:
    return torch.sign(x)


def _clamped(x: Tensor) -> Tensor:
    return x.clamp(-0.0625, 0.0625)


def _of_the_sum(x: Tensor) -> Tensor:
    """Times the number of elements."""
    return x * x.numel()


def _ones(x: Tensor) -> Tensor:
    return torch.ones_like(x)


def _reversed(x: Tensor) -> Tensor:
    """The classes, or the elements, the other way round."""
    return x.flip(-1) if x.ndim else x


VALUES: Mapping[str, Change] = {
    "doubled": _by(2.0),
    "5 % off": _by(1.05),
    "negated": _negated,
    "zeroed": _zeroed,
    "raised": _leaked,
    "shifted by a row": _shifted,
}
GRADIENTS: Mapping[str, Change] = VALUES | {
    "halved": _by(0.5),
    "0.1 % off": _by(1.001),
    "without its sign": _without_sign,
    "clamped": _clamped,
    "times N": _of_the_sum,
    "averaged": _averaged,
    "reversed": _reversed,
}
SECOND: Mapping[str, Change] = {
    "doubled": _by(2.0),
    "halved": _by(0.5),
    "negated": _negated,
    "zeroed": _zeroed,
}
COTANGENTS: Mapping[str, Change] = {
    "ignored": _ones,
    "without its sign": _without_sign,
    "its sign alone": _signs,
    "clamped": _clamped,
    "averaged": _averaged,
    "shifted by a row": _shifted,
}


class Tampered(torch.autograd.Function):
    """A tensor as it is, whose gradient is changed on its way back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, change: Change) -> Tensor:
        ctx.change = change
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor, None]:
        (cotangent,) = cotangents
        return ctx.change(cotangent), None


class TamperedTwice(Tampered):
    """A tensor whose gradient is right, and the gradient of that is changed."""

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Any, None]:
        (cotangent,) = cotangents
        return Tampered.apply(cotangent, ctx.change), None
