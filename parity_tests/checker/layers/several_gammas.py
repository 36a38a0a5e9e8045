"""One γ per class and one per element, which a port may take in place of one number.

per class    softmax (C,)        per element    sigmoid (6,), softmax (6, 1)
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError

from .batch import SMOOTHING, Call, Options, ask
from .option_jets import jets_with

# None is above the usual γ, by which tolerances go.
OF_CLASSES = (0.5, 2.0, 1.0)
OF_ELEMENTS = (2.0, 0.5, 0.0, 1.0, 1.5, 2.0)
# How near losses come to those that were meant, in any dtype.
ALIKE = 0.05


class Gammas(NamedTuple):
    name: str
    gamma: np.ndarray


def gammas_of(plan: Plan) -> list[Gammas]:
    dtype = DTYPES[plan.dtype]
    of_elements = np.array(OF_ELEMENTS, dtype)
    if not plan.record.classes:
        return [Gammas("one gamma per element", of_elements)]
    return [
        Gammas("one gamma per class", np.array(OF_CLASSES, dtype)),
        Gammas("one gamma per element", of_elements[:, None]),
    ]


def taken(port: PythonPort, plan: Plan, call: Call) -> Iterator[tuple[str, dict[str, Any]]]:
    """What they are called, and the options; those that the port does not refuse."""
    if "gamma" in plan.fixed or not port.takes("gamma") or port.one_by_one:
        return
    for name, gamma in gammas_of(plan):
        options: dict[str, Any] = {"gamma": gamma}
        if losses(port, call, options) is not None:
            yield name, options
        smoothed = options | {"label_smoothing": SMOOTHING}
        if not port.takes("label_smoothing"):
            continue
        if gamma.ndim == 1 and losses(port, call, smoothed) is not None:
            yield f"{name}, label_smoothing", smoothed


def losses(port: PythonPort, call: Call, options: Options) -> np.ndarray | None:
    """One for each element, or None where the port takes numbers alone."""
    try:
        result = ask(port, call, **options)
    except PortError:
        return None
    return result if result.shape == (len(call.jets),) else None


def are_meant(port: PythonPort, plan: Plan, call: Call, options: Options) -> bool:
    """Whether the losses are those of these γ."""
    result = losses(port, call, options)
    if result is None:
        return False
    expected = [float(jet[()].value) for jet in jets_with(plan, call, options)]
    return np.allclose(result.astype(float), expected, rtol=ALIKE)
