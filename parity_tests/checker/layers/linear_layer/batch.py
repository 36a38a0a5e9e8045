"""A batch for a linear layer: its features, kernel and bias, and the truths of its rows.

rows    six, of four features each        kernel    (4, 3)        jets    one per row
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np

from parity_tests.contract.exact import Draws
from parity_tests.contract.grid import rounded
from parity_tests.contract.problems import Problem
from parity_tests.ports.linear import Inputs, LinearPort
from parity_tests.ports.subject import Plan
from parity_tests.truth import linear_oracle
from parity_tests.truth.jets import Jet, column

from .. import truth
from ..batch import KEPT, call_of
from ..option_jets import gamma_of_elements

DEPTH, CLASSES = 4, 3
SIX = range(6)
# Of second derivatives.
DIRECTION = (1.0, -2.0, 0.5, 3.0)


@dataclass(frozen=True)
class Batch:
    """A call of a linear layer, and the variables that it is differentiated in."""

    problem: Problem
    inputs: Inputs
    names: list[str]
    has_bias: bool
    # The shape of the rows.
    places: tuple[int, ...]

    @property
    def gamma(self) -> float:
        return float(self.problem.constants["gamma"])

    def jets(self, options: Mapping[str, Any]) -> list[Jet]:
        """The loss of each row, before masks and weights."""
        smoothing = options.get("label_smoothing", 0.0)
        softcap, z_loss = options.get("softcap"), options.get("z_loss", 0.0)
        problem = self.problem
        assert problem.ids is not None
        kernel, bias = self.inputs.kernel.ravel().tolist(), self.inputs.bias.tolist()
        layer = linear_oracle.Layer(kernel, bias, softcap, z_loss)
        alpha = problem.constants.get("alpha")
        if (smoothing or z_loss) and "alpha" in options:
            # Each class has its own, and it is no factor of the whole loss.
            alpha = options["alpha"].tolist()
        gammas_of_rows = [self.gamma] * len(problem.ids)
        if "gamma" in options:
            gammas_of_rows = gamma_of_elements(options["gamma"], problem.ids)
        features = self.inputs.features.tolist()
        rows = zip(features, problem.ids.tolist(), gammas_of_rows, strict=True)
        jets: list[Jet] = []
        for row, (own, target, gamma) in enumerate(rows):
            with mpmath.workdps(truth.DIGITS):
                shares = linear_oracle.smoothed(target, CLASSES, smoothing)
                args = (row, own, layer, shares, alpha, gamma)
                jets.append(linear_oracle.row_jet(*args))
        return jets

    def poisoned(self, poison: float | None) -> Inputs:
        """With this number, if it is one, for the features of rows that a mask leaves out."""
        if poison is None:
            return self.inputs
        features = self.inputs.features.copy()
        features[~np.array(KEPT)] = poison
        return self.inputs._replace(features=features)

    @property
    def along(self) -> Inputs:
        along = self.inputs.like(np.resize(DIRECTION, len(self.names)))
        return along if self.has_bias else along._replace(bias=np.zeros(CLASSES))


def batch_of(
    port: LinearPort, plan: Plan, gamma: float | None = None, rows: Sequence[int] = SIX
) -> Batch:
    draws = Draws(11)
    features = rounded(draws.bell((len(SIX), DEPTH)), plan.dtype)[list(rows)]
    kernel = rounded(draws.bell((DEPTH, CLASSES)), plan.dtype)
    bias = rounded(draws.bell(CLASSES), plan.dtype)
    has_bias = port.takes("bias")
    if not has_bias:
        bias = np.zeros(CLASSES)
    inputs = Inputs(features, kernel, bias)
    sizes = zip(Inputs._fields, inputs, strict=True)
    names = [column(name, i) for name, part in sizes for i in range(part.size)]
    problem = call_of(plan, gamma).problem
    assert problem.ids is not None
    points, ids = problem.points[list(rows)], problem.ids[list(rows)]
    return Batch(replace(problem, points=points, ids=ids), inputs, names, has_bias, ids.shape)
