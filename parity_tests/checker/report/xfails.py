"""Expected failures, in a file of the adopter's own. They are strict: what passes must leave the
list.

Each line names a layer, with a dtype in front where only that one fails, and a reason:

    gradients            # 1 − p is formed by subtraction, issue 12
    float16 dtypes       # no half precision yet
"""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from parity_tests.checker.layers.check import LAYERS
from parity_tests.checker.layers.judge import FAIL, PASS, XFAIL, Row
from parity_tests.contract.records import DTYPES
from parity_tests.ports.subject import BadPortError

UNEXPECTED = "was expected to fail, and passes: take it out of the expected failures"


def read(path: str) -> list[tuple[str, str]]:
    """The pairs of dtype ("" for every one) and layer."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise BadPortError(f"cannot read the expected failures in {path}: {reason}") from None
    entries = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            entries.append(_entry(path, number, text))
    return entries


def _entry(path: str, number: int, text: str) -> tuple[str, str]:
    first, _, rest = text.partition(" ")
    dtype, layer = "", text
    if first in DTYPES:
        dtype, layer = first, rest.strip()
    if layer not in LAYERS:
        known = ", ".join(LAYERS)
        raise BadPortError(f"{path}, line {number}: {layer!r} is no layer; they are {known}")
    return dtype, layer


def apply(row: Row, dtype: str, expected: Iterable[tuple[str, str]]) -> Row:
    """A failure that is expected is none; a pass that was to fail is one."""
    if (dtype, row.layer) not in expected and ("", row.layer) not in expected:
        return row
    if row.status == FAIL:
        return replace(row, status=XFAIL)
    if row.status == PASS:
        return replace(row, status=FAIL, note=UNEXPECTED)
    return row
