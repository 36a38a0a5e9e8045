"""Points at which a loss and its derivatives are asked for, the truth there, and a port's
answers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from parity_tests.truth import oracle, recipe_oracle
from parity_tests.truth.jets import Jet, Key

from .port import Port
from .tolerances import DTYPES, allowed


@dataclass(frozen=True, eq=False)
class Problem:
    """`points` has one row per sample and one column per name: the variables that derivatives are
    taken in.

    For the sigmoid loss these are its arguments, for the softmax loss logits0, logits1, …,
    targets0, …, alpha0, …. `ids` are hard targets, one per sample. `constants` are arguments that
    do not vary.
    """

    function: str
    dtype: str
    names: tuple[str, ...]
    points: np.ndarray
    ids: np.ndarray | None = None
    constants: dict[str, Any] = field(default_factory=dict)

    def loss(self, port: Port) -> Callable[..., Any]:
        """The port's function of one sample's variables, and of its id if there are ids."""
        function = getattr(port.module, self.function)

        def scalar(point: Any, target: Any = None) -> Any:
            arguments = {"targets": target} if self.ids is not None else {}
            for i, name in enumerate(self.names):
                stem = name.rstrip("0123456789")
                if stem == name:
                    arguments[name] = point[i]
                elif stem not in arguments:
                    columns = [
                        j
                        for j, other in enumerate(self.names)
                        if other.rstrip("0123456789") == stem
                    ]
                    arguments[stem] = point[columns[0] : columns[-1] + 1]
            logits, targets = arguments.pop("logits"), arguments.pop("targets")
            axis = {"axis": -1} if self.function == "softmax_focal_loss" else {}
            return function(logits, targets, **axis, **self.constants, **arguments)

        return scalar

    def truth(self, row: int) -> Jet:
        """The oracle's jet at one sample, in the variables of the problem."""
        arguments: dict[str, Any] = dict(self.constants)
        for name, x in zip(self.names, self.points[row].tolist(), strict=True):
            stem = name.rstrip("0123456789")
            if stem == name:
                arguments[name] = x
            else:
                arguments.setdefault(stem, []).append(x)
        if self.ids is not None:
            target = int(self.ids[row])
            classes = len(arguments["logits"]) if self.function == "softmax_focal_loss" else 0
            arguments["targets"] = (
                [float(c == target) for c in range(classes)] if classes else target
            )
        if not hasattr(oracle, self.function):
            return oracle.certified(lambda: getattr(recipe_oracle, self.function)(**arguments))
        function, variables = getattr(oracle, self.function), frozenset(self.names)
        return oracle.certified(lambda: function(**arguments, variables=variables))

    def answers(self, port: Port, order: int) -> np.ndarray:
        """The port's derivatives of one order: an axis of samples, then `order` axes of
        variables."""
        return port.per_sample(
            self.loss(port), order, self.points.astype(DTYPES[self.dtype]), self.ids
        )

    def limit(self, row: int, key: Key) -> float:
        """How much the derivative in the variables of `key` may be wrong at one sample, in eps."""
        gamma = self.constants.get("gamma", 2.0)
        if "gamma" in self.names:
            gamma = self.points[row, self.names.index("gamma")]
        return allowed(self.function, key, float(gamma), self.dtype, float(self.points[row, 0]))

    def describe(self, port: Port, row: int, key: Key) -> str:
        """A line that says which derivative it is and reproduces the point."""
        values = dict(zip(self.names, self.points[row].tolist(), strict=True))
        target = {} if self.ids is None else {"targets": int(self.ids[row])}
        derivative = " ".join(("d", *key)) if key else "value"
        return f"{derivative} of {port.name} {self.function}({values | target | self.constants}) in {self.dtype}"
