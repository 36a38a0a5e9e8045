"""Both losses of a port, called with numpy arrays. The classes of a softmax are on axis 1, unless
a call says otherwise."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.port import Port
from parity_tests.tests.arguments import argument, arguments

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"


class Call(NamedTuple):
    """All but the logits of a call."""

    function: str
    targets: np.ndarray
    settings: dict[str, Any]


def call(function: str, targets: np.ndarray, **settings: Any) -> Call:
    return Call(function, targets, settings)


def loss_of(
    port: Port, function: str, targets: Any, settings: dict[str, Any]
) -> Callable[[Any], Any]:
    """A loss as a function of its logits, which are an array of the framework."""
    loss = getattr(port.module, function)
    y = argument(port, targets)
    if function == SOFTMAX:
        settings = {"axis": 1} | settings
    given = arguments(port, settings)
    return lambda logits: loss(logits, y, **given)


def sigmoid(port: Port, logits: np.ndarray, targets: np.ndarray, **settings: Any) -> np.ndarray:
    loss = loss_of(port, SIGMOID, targets, settings)
    return port.numpy(loss(port.array(logits)))


def softmax(port: Port, logits: np.ndarray, targets: np.ndarray, **settings: Any) -> np.ndarray:
    loss = loss_of(port, SOFTMAX, targets, settings)
    return port.numpy(loss(port.array(logits)))


def gradient(
    port: Port, function: str, logits: np.ndarray, targets: np.ndarray, **settings: Any
) -> np.ndarray:
    loss = loss_of(port, function, targets, settings)
    return port.gradient(loss, logits)
