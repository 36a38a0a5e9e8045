"""Calls of public implementations as `logits, targets -> one loss per element`, each in a few
lines.

They change no loss: an axis for the classes is added and taken away, labels and probabilities
become what is asked for, maps of one loss per class are added up, and one division by Σ targets is
undone.
"""

import sys
from functools import cache
from importlib import import_module
from typing import Any

from parity_tests.ports.locate import locate

Array = Any
NMS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


@cache
def public(path: str) -> Any:
    return locate(path)


def import_torchvision() -> None:
    """Its Python part, also where the compiled operators of its wheel were made for another build
    of PyTorch."""
    try:
        import_module("torchvision")
    except RuntimeError:
        define = import_module("torch").library.define
        for operator in ("nms", "qnms"):
            define(f"torchvision::{operator}", NMS)
        for name in list(sys.modules):
            if name.partition(".")[0] == "torchvision":
                del sys.modules[name]
        import_module("torchvision")


def _with_axis(x: Array) -> Array:
    """An array beside logits that have got an axis; a number as it is."""
    return x[..., None] if getattr(x, "ndim", 0) else x


def _without_axis(loss: Array) -> Array:
    return loss[..., 0] if loss.ndim else loss


def kornia_binary(
    logits: Array, targets: Array, alpha: Any, gamma: float, reduction: str = "none"
) -> Array:
    loss = public("kornia.losses:binary_focal_loss_with_logits")
    losses = loss(logits[..., None], targets[..., None], alpha, _with_axis(gamma), reduction)
    return _without_axis(losses)


def kornia_softmax(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    loss = public("kornia.losses:focal_loss")
    return loss(logits, targets, alpha, gamma).sum(1)


def keras_binary(logits: Array, targets: Array, alpha: Any, gamma: float) -> Array:
    loss = public("keras.losses:binary_focal_crossentropy")
    settings = {"gamma": _with_axis(gamma), "from_logits": True}
    if alpha is not None:
        settings |= {"apply_class_balancing": True, "alpha": alpha}
    return loss(targets[..., None], logits[..., None], **settings)


def keras_categorical(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    loss = public("keras.losses:categorical_focal_crossentropy")
    if targets.ndim < logits.ndim:
        targets = public("keras.ops:one_hot")(targets, logits.shape[-1])
    # None is no weight there.
    alpha = 1.0 if alpha is None else alpha
    return loss(targets, logits, alpha=alpha, gamma=gamma, from_logits=True)


def monai_sigmoid(
    logits: Array, targets: Array, alpha: Any, gamma: float, reduction: str = "none"
) -> Array:
    make = public("monai.losses:FocalLoss")
    loss = make(alpha=alpha, gamma=_with_axis(gamma), reduction=reduction)
    losses = loss(logits[..., None], targets[..., None])
    return _without_axis(losses)


def monai_softmax(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    is_hard = not targets.is_floating_point()
    if is_hard:
        targets = targets[:, None]
    settings = {"alpha": alpha, "gamma": gamma, "reduction": "none"}
    make = public("monai.losses:FocalLoss")
    loss = make(use_softmax=True, to_onehot_y=is_hard, **settings)
    return loss(logits, targets).sum(1)


def pytorch_focalloss_binary(
    logits: Array, targets: Array, gamma: float, alpha: Any = None, reduction: str = "none"
) -> Array:
    weight = None if alpha is None else logits.new_tensor(alpha)
    make = public("torch_focalloss:BinaryFocalLoss")
    return make(gamma=gamma, alpha=weight, reduction=reduction)(logits, targets)


def balanced_loss(logits: Array, targets: Array, gamma: float) -> Array:
    """Its number is Σ weight·loss / Σ targets: beside an example with weight 0 and target 1, one
    loss over y + 1.

    One call per element, as vmap would have other arithmetic.
    """
    loss, stack = public("balanced_loss.losses:focal_loss"), public("torch:stack")
    weights = logits.new_tensor([1.0, 0.0])
    zero, one = logits.new_tensor(0.0), logits.new_tensor(1.0)
    losses = []
    for z, y in zip(logits, targets, strict=True):
        mean = loss(stack([z, zero]), stack([y, one]), alpha=weights, gamma=gamma)
        losses.append(mean * (y + 1))
    return stack(losses)


def timm_asymmetric(logits: Array, targets: Array, gamma: float, reduction: str = "none") -> Array:
    make = public("timm.loss:AsymmetricLossMultiLabel")
    loss = make(gamma_neg=gamma, gamma_pos=gamma, clip=None, reduction=reduction)
    return loss(logits, targets)


def timm_asymmetric_with_clip(
    logits: Array,
    targets: Array,
    gamma_positive: float,
    gamma_negative: float,
    shift: float,
    reduction: str = "none",
) -> Array:
    make = public("timm.loss:AsymmetricLossMultiLabel")
    loss = make(gamma_negative, gamma_positive, clip=shift, reduction=reduction)
    return loss(logits, targets)


def transformers_detection(logits: Array, targets: Array, alpha: float, gamma: float) -> Array:
    loss = public("transformers.loss.loss_for_object_detection:sigmoid_focal_loss")
    return loss(logits[..., None], targets[..., None], 1, alpha, gamma)


def ultralytics(logits: Array, targets: Array, alpha: float, gamma: float) -> Array:
    loss = public("ultralytics.utils.loss:FocalLoss")(gamma, alpha)
    return loss(logits[..., None], targets[..., None])


def focal_loss_torch_binary(
    logits: Array, targets: Array, gamma: float, reduction: str = "none"
) -> Array:
    """Labels of 0.0 and 1.0 become integers; fractions are given as they are."""
    is_whole = bool((targets == targets.round()).all())
    if is_whole:
        targets = targets.long()
    loss = public("focal_loss.focal_loss:FocalLoss")(gamma, reduction=reduction)
    return loss(logits.sigmoid(), targets)


def focal_loss_torch_softmax(
    logits: Array, targets: Array, gamma: float, reduction: str = "none"
) -> Array:
    loss = public("focal_loss.focal_loss:FocalLoss")(gamma, reduction=reduction)
    return loss(logits.softmax(-1), targets)
