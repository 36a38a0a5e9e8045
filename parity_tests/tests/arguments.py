"""Arguments of a loss as a port takes them: numpy arrays become arrays of its framework."""

from typing import Any

import numpy as np

from parity_tests.contract.port import Port


def argument(port: Port, x: Any) -> Any:
    if isinstance(x, np.ndarray):
        return port.array(x)
    return x


def arguments(port: Port, settings: dict[str, Any]) -> dict[str, Any]:
    return {name: argument(port, x) for name, x in settings.items()}
