"""The mappings of docs/migration.md, run: how many there are, with which version, and how far off
the worst is.

python -m parity_tests.pages.migration_table              a table for people
python -m parity_tests.pages.migration_table --markdown   the same for the page
"""

import argparse
import re
from importlib import metadata

from rich.console import Console
from rich.table import Table

from parity_tests.checker.audit.wrappers import import_torchvision
from parity_tests.tables import LEFT, RIGHT, markdown

from . import migration, page_code
from .make_readme import README

PAGE = README.parent / "docs" / "migration.md"
# Section of the page -> the distribution that it calls; the tutorial is no package, and is run as
# its formula.
PEERS = {
    "optax": "optax",
    "PyTorch": "torch",
    "torchvision": "torchvision",
    "kornia": "kornia",
    "Keras": "keras",
    "MONAI": "monai",
    "mmdetection": "mmdet",
    "segmentation-models-pytorch": "segmentation-models-pytorch",
    "The tutorial class": "",
}
HEADER = ("coming from", "called", "comparisons", "worst relative difference")
RULE = (LEFT, LEFT, RIGHT, RIGHT)


def sections() -> dict[str, str]:
    """Title -> text of each section that has code to compare."""
    parts = re.split(r"^## (.*)\n", PAGE.read_text(), flags=re.M)
    titles, texts = parts[1::2], parts[2::2]
    pairs = zip(titles, texts, strict=True)
    return {title: text for title, text in pairs if "same(" in text}


def run(code: str, output: str = "") -> list[float]:
    """Relative differences of the comparisons in a block of the page."""
    import_torchvision()
    migration.differences.clear()
    page_code.run(code, output, PAGE.name)
    return list(migration.differences)


def row(title: str, text: str) -> tuple[str, ...]:
    distribution = PEERS[title]
    called = "its formula"
    if distribution:
        # A build of PyTorch for one kind of device says so after a plus.
        version, _, _ = metadata.version(distribution).partition("+")
        called = f"{distribution} {version}"
    differences: list[float] = []
    for code, output in page_code.blocks_of(text):
        differences += run(code, output)
    return title, called, str(len(differences)), f"{max(differences):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--markdown", action="store_true", help="print a Markdown table")
    rows = [row(title, text) for title, text in sections().items()]
    if parser.parse_args().markdown:
        print(markdown(HEADER, RULE, rows))
        return
    table = Table(*HEADER)
    for cells in rows:
        table.add_row(*cells)
    Console().print(table)


if __name__ == "__main__":
    main()
