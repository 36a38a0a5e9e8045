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

from parity_tests.ports.python import locate

Array = Any


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
            define(
                f"torchvision::{operator}",
                "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            )
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
            del sys.modules[name]
        import_module("torchvision")


def _without_axis(loss: Array) -> Array:
    return loss[..., 0] if loss.ndim else loss


def kornia_binary(
    logits: Array, targets: Array, alpha: Any, gamma: float, reduction: str = "none"
) -> Array:
    loss = public("kornia.losses:binary_focal_loss_with_logits")
    return _without_axis(loss(logits[..., None], targets[..., None], alpha, gamma, reduction))


def kornia_softmax(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    return public("kornia.losses:focal_loss")(logits, targets, alpha, gamma).sum(1)


def keras_binary(logits: Array, targets: Array, alpha: Any, gamma: float) -> Array:
    loss = public("keras.losses:binary_focal_crossentropy")
    balance = {} if alpha is None else {"apply_class_balancing": True, "alpha": alpha}
    return loss(targets[..., None], logits[..., None], gamma=gamma, from_logits=True, **balance)


def keras_categorical(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    loss = public("keras.losses:categorical_focal_crossentropy")
    if targets.ndim < logits.ndim:
        targets = public("keras.ops:one_hot")(targets, logits.shape[-1])
    return loss(
        targets, logits, alpha=1.0 if alpha is None else alpha, gamma=gamma, from_logits=True
    )


def monai_sigmoid(
    logits: Array, targets: Array, alpha: Any, gamma: float, reduction: str = "none"
) -> Array:
    loss = public("monai.losses:FocalLoss")(alpha=alpha, gamma=gamma, reduction=reduction)
    return _without_axis(loss(logits[..., None], targets[..., None]))


def monai_softmax(logits: Array, targets: Array, gamma: float, alpha: Any = None) -> Array:
    soft = targets.is_floating_point()
    make = public("monai.losses:FocalLoss")
    loss = make(use_softmax=True, to_onehot_y=not soft, alpha=alpha, gamma=gamma, reduction="none")
    return loss(logits, targets if soft else targets[:, None]).sum(1)


def pytorch_focalloss_binary(
    logits: Array, targets: Array, gamma: float, alpha: Any = None, reduction: str = "none"
) -> Array:
    weight = None if alpha is None else logits.new_tensor(alpha)
    return public("torch_focalloss:BinaryFocalLoss")(
        gamma=gamma, alpha=weight, reduction=reduction
    )(logits, targets)


def balanced_loss(logits: Array, targets: Array, gamma: float) -> Array:
    """Its number is Σ weight·loss / Σ targets: beside an example with weight 0 and target 1, one
    loss over y + 1.

    One call per element, as vmap would have other arithmetic.
    """
    loss, stack = public("balanced_loss.losses:focal_loss"), public("torch:stack")
    weights, one, zero = (
        logits.new_tensor([1.0, 0.0]),
        logits.new_tensor(1.0),
        logits.new_tensor(0.0),
    )

    def each(z: Array, y: Array) -> Array:
        return loss(stack([z, zero]), stack([y, one]), alpha=weights, gamma=gamma) * (y + 1)

    return stack([each(z, y) for z, y in zip(logits, targets, strict=True)])


def timm_asymmetric(logits: Array, targets: Array, gamma: float, reduction: str = "none") -> Array:
    make = public("timm.loss:AsymmetricLossMultiLabel")
    return make(gamma_neg=gamma, gamma_pos=gamma, clip=None, reduction=reduction)(logits, targets)


def transformers_detection(logits: Array, targets: Array, alpha: float, gamma: float) -> Array:
    loss = public("transformers.loss.loss_for_object_detection:sigmoid_focal_loss")
    return loss(logits[..., None], targets[..., None], 1, alpha, gamma)


def ultralytics(logits: Array, targets: Array, alpha: float, gamma: float) -> Array:
    return public("ultralytics.utils.loss:FocalLoss")(gamma, alpha)(
        logits[..., None], targets[..., None]
    )


def focal_loss_torch_binary(
    logits: Array, targets: Array, gamma: float, reduction: str = "none"
) -> Array:
    """Labels of 0.0 and 1.0 become integers; fractions are given as they are."""
    whole = bool((targets == targets.round()).all())
    loss = public("focal_loss.focal_loss:FocalLoss")(gamma, reduction=reduction)
    return loss(logits.sigmoid(), targets.long() if whole else targets)


def focal_loss_torch_softmax(
    logits: Array, targets: Array, gamma: float, reduction: str = "none"
) -> Array:
    return public("focal_loss.focal_loss:FocalLoss")(gamma, reduction=reduction)(
        logits.softmax(-1), targets
    )
