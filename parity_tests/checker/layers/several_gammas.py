"""One γ per class and one per element, which a port may take in place of one number.

per class    softmax (C,)        per element    sigmoid (6,), softmax (6, 1)
"""

from typing import Any, NamedTuple

import numpy as np

from parity_tests.contract.tolerances import DTYPES
from parity_tests.ports.python import PythonPort
from parity_tests.ports.subject import Plan, PortError, RefusedError

from .batch import SMOOTHING, Call, ask
from .option_jets import jets_with

# No γ here exceeds the usual one, which sets the tolerances.
OF_CLASSES = (0.5, 2.0, 1.0)
OF_ELEMENTS = (2.0, 0.5, 0.0, 1.0, 1.5, 2.0)
# How near losses come to those of the same rule, in any dtype.
ALIKE = 0.05


class Accepted(NamedTuple):
    """A call with several γ that the port answers with one loss per element."""

    name: str
    options: dict[str, Any]
    losses: np.ndarray

    def is_right(self, plan: Plan, call: Call) -> bool:
        """Whether the losses are those of these γ, up to what a port may lose elsewhere."""
        expected = [float(jet[()].value) for jet in jets_with(plan, call, self.options)]
        return np.allclose(self.losses.astype(float), expected, rtol=ALIKE)


def gammas_of(plan: Plan) -> dict[str, np.ndarray]:
    """By what they are called."""
    dtype = DTYPES[plan.dtype]
    of_elements = np.array(OF_ELEMENTS, dtype)
    if not plan.record.classes:
        return {"one gamma per element": of_elements}
    of_classes = np.array(OF_CLASSES, dtype)
    return {"one gamma per class": of_classes, "one gamma per element": of_elements[:, None]}


def accepted_gammas(
    port: PythonPort, plan: Plan, call: Call, failed: list[PortError]
) -> list[Accepted]:
    """Alone, and one per class beside smoothed labels."""
    if "gamma" in plan.fixed or not port.takes("gamma"):
        return []
    # FL* has no γ of 0. In a form of its own a port has other axes, with which γ would broadcast.
    if port.one_by_one or port.form.given or plan.convention("form") == "FL*":
        return []
    asked: dict[str, dict[str, Any]] = {}
    for name, gamma in gammas_of(plan).items():
        asked[name] = {"gamma": gamma}
        if plan.record.classes and gamma.ndim == 1 and port.takes("label_smoothing"):
            smoothed = {"gamma": gamma, "label_smoothing": SMOOTHING}
            asked[f"{name}, label_smoothing"] = smoothed
    accepted: list[Accepted] = []
    for name, options in asked.items():
        try:
            losses = ask(port, call, **options)
        except RefusedError:
            # Most ports take one number.
            continue
        except PortError as error:
            failed.append(error)
            continue
        if losses.shape == (len(call.jets),):
            accepted.append(Accepted(name, options, losses))
    return accepted
