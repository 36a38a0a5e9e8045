"""Points at which a loss and its derivatives are asked for, the truth there, and a port's answer."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from . import oracle, recipe_oracle
from .compare import Entry
from .jets import Jet
from .tolerances import DTYPES, FLOOR, allowed

if TYPE_CHECKING:
    from .ports import Port


@dataclass(frozen=True, eq=False)
class Problem:
    """`points` has one row per sample and one column per name: the variables that derivatives are taken in.

    For the sigmoid loss these are its arguments, for the softmax loss logits0, logits1, …, targets0, …, alpha0, ….
    `ids` are hard targets, one per sample. `constants` are arguments that do not vary.
    """

    function: str
    dtype: str
    names: tuple[str, ...]
    points: np.ndarray
    ids: np.ndarray | None = None
    constants: dict[str, Any] = field(default_factory=dict)

    def loss(self, port: "Port") -> Callable[..., Any]:
        """The port's function of one sample's variables, and of its id if there are ids."""
        function = getattr(port.module, self.function)

        def scalar(point: Any, target: Any = None) -> Any:
            arguments = {"targets": target} if self.ids is not None else {}
            for i, name in enumerate(self.names):
                stem = name.rstrip("0123456789")
                if stem == name:
                    arguments[name] = point[i]
                elif stem not in arguments:
                    columns = [j for j, other in enumerate(self.names) if other.rstrip("0123456789") == stem]
                    arguments[stem] = point[columns[0] : columns[-1] + 1]
            logits, targets = arguments.pop("logits"), arguments.pop("targets")
            axis = {"axis": -1} if self.function == "softmax_focal_loss" else {}
            return function(logits, targets, **axis, **self.constants, **arguments)

        return scalar

    def truth(self, row: int) -> Jet:
        """The oracle's jet at one sample."""
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
            arguments["targets"] = [float(c == target) for c in range(classes)] if classes else target
        home = oracle if hasattr(oracle, self.function) else recipe_oracle
        function = getattr(home, self.function)
        return oracle.certified(lambda: function(**arguments))

    def entries(self, port: "Port", order: int, truths: list[Jet]) -> Iterator[Entry]:
        """The port's derivatives of one order beside the truth."""
        dtype = DTYPES[self.dtype]
        got = port.per_sample(self.loss(port), order, self.points.astype(dtype), self.ids)
        gammas = self.points[:, self.names.index("gamma")] if "gamma" in self.names else None
        for row, truth in enumerate(truths):
            gamma = float(self.constants.get("gamma", 2.0) if gammas is None else gammas[row])
            for index in np.ndindex(got[row].shape):
                key = tuple(sorted(self.names[i] for i in index))
                limit = allowed(self.function, key, gamma, self.dtype, float(self.points[row, 0]))
                floor = FLOOR[self.dtype][order]
                yield Entry(float(got[row][index]), truth[key], limit, floor, self.describe(port, row, key))

    def describe(self, port: "Port", row: int, key: tuple[str, ...]) -> str:
        """A line that says which derivative it is and reproduces the point."""
        values = dict(zip(self.names, self.points[row].tolist(), strict=True))
        target = {} if self.ids is None else {"targets": int(self.ids[row])}
        derivative = " ".join(("d", *key)) if key else "value"
        return f"{derivative} of {port.name} {self.function}({values | target | self.constants}) in {self.dtype}"
