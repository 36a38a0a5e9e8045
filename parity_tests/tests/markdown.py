"""Tables of the pages, which are Markdown."""


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of the tables in a text, headers included."""
    lines = [line.strip() for line in text.splitlines()]
    return [cells(line) for line in lines if line.startswith("| ") and not line.startswith("| --")]


def cells(row: str) -> list[str]:
    return [cell.strip() for cell in row.removeprefix("|").removesuffix("|").split("|")]
