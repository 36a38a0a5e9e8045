"""Make the notebook of the tutorial from its page.

    python -m parity_tests.pages.notebook

It is plain JSON in the format of Jupyter, version 4.4. What a block of code prints on the page is
the output of its cell.
"""

import json
import re

from . import page_code
from .make_readme import ROOT

PAGE = ROOT / "docs" / "tutorial.md"
NOTEBOOK = ROOT / "examples" / "tutorial.ipynb"
LINK = re.compile(r"\]\((?!\w+:|#)")
# What makes the figure interactive on the site.
FRAME = re.compile(r"^</?div.*>\n\n?", re.M)
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

Cell = dict[str, object]


def notebook(page: str) -> str:
    """The text of a notebook with the words and the code of a page."""
    cells: list[Cell] = []
    end = 0
    for block in page_code.CODE.finditer(page):
        cells += words(page[end : block.start()])
        ((code, output),) = page_code.blocks_of(block[0])
        cells.append(program(code, output))
        end = block.end()
    cells += words(page[end:])
    content = {"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def words(text: str) -> list[Cell]:
    """A cell of Markdown, or none where there are no words; links lead to the pages in docs."""
    text = LINK.sub("](../docs/", FRAME.sub("", text)).strip()
    if not text:
        return []
    return [{"cell_type": "markdown", "metadata": {}, "source": lines(text)}]


def program(code: str, output: str) -> Cell:
    outputs: list[Cell] = []
    if output:
        outputs.append({"name": "stdout", "output_type": "stream", "text": lines(output)})
    return {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": outputs,
        "source": lines(code.rstrip("\n")),
    }


def lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def main() -> None:
    NOTEBOOK.write_text(notebook(PAGE.read_text()))
    print(f"wrote {NOTEBOOK.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
