"""The Python of the pages: each block by itself, and what stands below it as what it prints."""

import contextlib
import io
import re
from pathlib import Path
from textwrap import dedent

import jax

# A block of code, and the block of text right below it. Both may be indented, as in the tabs of the site.
CODE = re.compile(r"^( *)```python\n(.*?)^ *```\n(?:\s*^ *```text\n(.*?)^ *```\n)?", re.S | re.M)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Code and output; there is no output below a block that prints nothing."""
    return [(dedent(code), dedent(output or "")) for _, code, output in CODE.findall(page.read_text())]


def run(code: str, output: str, name: str) -> None:
    """Run a block as a reader does, without 64-bit types, and raise unless it prints what the page says."""
    with jax.enable_x64(False), contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    if printed.getvalue() != output:
        raise AssertionError(f"{name}: the page says\n{output}\nthe block prints\n{printed.getvalue()}\n{code}")
