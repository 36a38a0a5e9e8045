"""The dtype that an array of any framework has."""

from parity_tests.contract.tolerances import DTYPES

from .framework import Array


def dtype_of(x: Array) -> str:
    text = str(x.dtype)
    # One name is a part of another.
    return next(name for name in ("bfloat16", *DTYPES) if name in text)


def is_half(x: Array) -> bool:
    return "16" in str(getattr(x, "dtype", ""))
