"""A port of the focal loss with two published mistakes, on which a check has to fail.

α weights class 0 in place of class 1, and 1 − p_t is a difference, which is exactly 0 from a margin
of 37.
"""

import json
import math
import sys
from typing import Any


def focal(z: float, y: float, alpha: float | None, gamma: float) -> float:
    u = z if y == 1 else -z
    p_t = 0.5 * (1 + math.tanh(u / 2))
    cross_entropy = max(-u, 0.0) + math.log1p(math.exp(-abs(u)))
    weight = 1.0
    if alpha is not None:
        weight = 1 - alpha if y == 1 else alpha
    return weight * (1 - p_t) ** gamma * cross_entropy


def answer(question: dict[str, Any]) -> dict[str, Any]:
    if "protocol" in question:
        return hello(question)
    inputs = {name: float.fromhex(x) for name, x in question["arguments"].items()}
    if inputs["targets"] not in (0, 1):
        return {"id": question["id"], "error": "targets have to be 0 or 1"}
    loss = focal(inputs["logits"], inputs["targets"], inputs.get("alpha"), inputs["gamma"])
    return {"id": question["id"], "results": {"loss": loss.hex()}}


def hello(question: dict[str, Any]) -> dict[str, Any]:
    """The first answer: what this port takes and returns."""
    if (question["function"], question["dtype"]) != ("sigmoid_focal_loss", "float64"):
        return {"error": "this port is a sigmoid_focal_loss in float64"}
    arguments = ["logits", "targets", "alpha", "gamma"]
    return {"protocol": 1, "arguments": arguments, "results": ["loss"]}


for line in sys.stdin:
    print(json.dumps(answer(json.loads(line))), flush=True)
