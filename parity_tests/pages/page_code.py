"""The Python of the pages: each block by itself, and what stands below it as what it prints."""

import contextlib
import io
import re
from decimal import Decimal
from pathlib import Path

import jax

DECIMAL = re.compile(r"\d+\.\d+(?:e[-+]?\d+)?")
# With more digits than this the last one may differ by 1: the last bit of a result is that of the
# processor.
EXACT_DIGITS = 2
# A block of code, and the block of text right below it. Both may be indented, as in the tabs of the
# site.
CODE = re.compile(r"^( *)```python\n(.*?)^ *```\n(?:\s*^ *```text\n(.*?)^ *```\n)?", re.S | re.M)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Code and output; there is no output below a block that prints nothing."""
    return blocks_of(page.read_text())


def blocks_of(text: str) -> list[tuple[str, str]]:
    pairs = []
    for margin, code, output in CODE.findall(text):
        pairs.append((_without(margin, code), _without(margin, output)))
    return pairs


def _without(margin: str, text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(line.removeprefix(margin) for line in lines)


def run(code: str, output: str, name: str, namespace: dict[str, object] | None = None) -> None:
    """Run a block as a reader does, with the settings that JAX has by itself, and raise unless it
    prints `output`. It has names of its own, or those of the blocks before it in `namespace`."""
    if namespace is None:
        namespace = {"__name__": "__main__"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(False))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        stream = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        program = compile(code, name, "exec")
        exec(program, namespace)
    printed = stream.getvalue()
    if not same(printed, output):
        message = f"{name}: the page says\n{output}\nthe block prints\n{printed}\n{code}"
        raise AssertionError(message)


def same(printed: str, expected: str) -> bool:
    """Whether two texts are the same, but for the last digit of decimal fractions."""
    # What is between the fractions, so that none is missing and none is elsewhere.
    if DECIMAL.split(printed) != DECIMAL.split(expected):
        return False
    pairs = zip(DECIMAL.findall(printed), DECIMAL.findall(expected), strict=True)
    return all(a == b or _adjacent(Decimal(a), Decimal(b)) for a, b in pairs)


def _adjacent(a: Decimal, b: Decimal) -> bool:
    """Both have many digits, and differ by at most 1 in the last of them."""
    first, second = a.as_tuple(), b.as_tuple()
    if min(len(first.digits), len(second.digits)) <= EXACT_DIGITS:
        return False
    last_place = min(int(first.exponent), int(second.exponent))
    return abs(a - b) <= Decimal(1).scaleb(last_place)
