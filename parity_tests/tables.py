"""The tables of the pages, in Markdown."""

from collections.abc import Iterable, Sequence

# What stands below the header of a column.
LEFT, RIGHT = "---", "---:"


def markdown(header: Sequence[str], rule: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table as text; the rule has LEFT or RIGHT for each column."""
    lines = [header, rule, *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
