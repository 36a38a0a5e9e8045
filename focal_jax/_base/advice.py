"""What to do about a value that is out of range: the ends of messages."""

import math

CORRECT = "Correct it before the call."
ONE_NUMBER = "It is one number for the whole call: take its item(), outside of any compilation."
SEVERAL = "For several, give an array (in PyTorch a tensor)."


def advice_for_id(classes: int, x: float) -> str:
    leave_out = f"ignore_index={x:.0f} or where leaves it out."
    if x == classes:
        return f"The first class is 0. If it means no class, {leave_out}"
    return f"If it means no class, {leave_out}"


def advice_for_target(x: float) -> str:
    """What to do about a target of a sigmoid that is not in [0, 1]."""
    if not math.isfinite(x):
        return "Leave it out with where."
    if not x.is_integer():
        return "It is a probability, no logit. Leave others out with where."
    leave_out = f"ignore_index={x:.0f} or where leaves it out."
    if x > 1:
        return f"Of a mask from 0 to {x:.0f} take mask > 0. If it means no label, {leave_out}"
    return f"If it means no label, {leave_out}"


def advice_for_alpha(x: float) -> str:
    if x < 0:
        return "None weights nothing."
    return "It is the weight of class 1, and class 0 has 1 − α."
