"""Tables: as Markdown for a page, and for people in a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table


@dataclass(frozen=True)
class Sheet:
    """A table. The columns named in `words` are aligned to the left, all others to the right."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Sequence[str] = ()
    caption: str | None = None

    def rule(self, column: str) -> str:
        return "---" if column in self.words else "---:"

    def side(self, column: str) -> Literal["left", "right"]:
        return "left" if column in self.words else "right"


def markdown(sheet: Sheet) -> str:
    """The table alone, without its title and caption."""
    rules = [sheet.rule(name) for name in sheet.header]
    lines = [sheet.header, rules, *sheet.rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def show(sheet: Sheet) -> None:
    """In the terminal. Where it is too narrow the lines wrap, since rich would cut the numbers."""
    pretty = Table(title=sheet.title, caption=sheet.caption)
    for name in sheet.header:
        pretty.add_column(name, justify=sheet.side(name), no_wrap=True)
    for row in sheet.rows:
        pretty.add_row(*row)
    unlimited = Console(width=1000)
    needed = Measurement.get(unlimited, unlimited.options, pretty).maximum
    Console(width=max(Console().width, needed)).print(pretty)
