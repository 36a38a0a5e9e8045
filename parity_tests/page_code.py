"""The Python of the pages: each block by itself, and what stands below it as what it prints."""

import contextlib
import io
import re
from pathlib import Path

import jax

# A block of code, and the block of text right below it. Both may be indented, as in the tabs of the site.
CODE = re.compile(r"^( *)```python\n(.*?)^ *```\n(?:\s*^ *```text\n(.*?)^ *```\n)?", re.S | re.M)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Code and output; there is no output below a block that prints nothing."""
    return blocks_of(page.read_text())


def blocks_of(text: str) -> list[tuple[str, str]]:
    found = CODE.findall(text)
    return [(_without(margin, code), _without(margin, output)) for margin, code, output in found]


def _without(margin: str, text: str) -> str:
    return "".join(line.removeprefix(margin) for line in text.splitlines(keepends=True))


def run(code: str, output: str, name: str) -> None:
    """Run a block as a reader does, with the settings that JAX has by itself, and raise unless it prints `output`."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(jax.enable_x64(False))
        stack.enter_context(jax.numpy_rank_promotion("allow"))
        stack.enter_context(jax.numpy_dtype_promotion("standard"))
        printed = stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
        exec(compile(code, name, "exec"), {"__name__": "__main__"})
    if printed.getvalue() != output:
        raise AssertionError(f"{name}: the page says\n{output}\nthe block prints\n{printed.getvalue()}\n{code}")
