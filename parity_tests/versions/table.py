"""The table of what was run with which versions, and what it says of the lower bounds in
pyproject.toml."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from .pairs import FRAMEWORKS, ROOT, lower_bounds, release

PAGE = ROOT / "docs" / "versions.md"
COLUMNS = ("python", *FRAMEWORKS)


class Row(NamedTuple):
    """What was run in one environment: its versions, the tests, and the outcomes of the smoke by
    check."""

    name: str
    versions: dict[str, str]
    tests: str
    smoke: dict[str, str]

    def failures(self) -> list[str]:
        tests = [] if re.fullmatch(r"\d+ passed", self.tests) else [f"tests: {self.tests}"]
        return tests + [
            f"{name}: {text}" for name, text in self.smoke.items() if text.startswith("FAILED")
        ]

    def limits(self) -> list[str]:
        """The kinds of checks that need another version, with it."""
        needed = {name: text for name, text in self.smoke.items() if text.startswith("needs")}
        return sorted({_limit(name, text) for name, text in needed.items()})

    def cells(self) -> list[str]:
        works = sum(text == "ok" for text in self.smoke.values())
        checks = f"{works} of {len(self.smoke)}"
        failed = f"{len(self.failures())} failed" if self.failures() else ""
        versions = [self.versions[name].partition("+")[0] for name in COLUMNS]
        return [
            self.name,
            *versions,
            self.tests,
            checks,
            "; ".join(filter(None, [failed, *self.limits()])),
        ]


def _limit(name: str, text: str) -> str:
    framework, *_, kind = name.split(", ", 2)
    return f"{kind}: {framework} {text.removeprefix('needs ').partition(': ')[0]}"


def markdown(rows: Iterable[Row]) -> str:
    titles = ["", *COLUMNS, "tests", "smoke", "what needs another version"]
    lines = [titles, ["---"] * len(titles), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def oldest_in(page: str) -> dict[str, str]:
    """The versions of the row "oldest" of a page, if it has one."""
    match = re.search(r"^\| oldest \| (.*) \|$", page, re.M)
    return dict(zip(COLUMNS, match[1].split(" | "), strict=False)) if match else {}


def disagreements(pyproject: str, page: str) -> list[str]:
    """Where the lower bounds of pyproject.toml are not the versions that the page says were run."""
    run = oldest_in(page)
    return [
        f"pyproject.toml asks for {name}>={bound}, and the oldest in docs/versions.md is {run.get(name, 'none')}: "
        "correct the bound, or make the table again."
        for name, bound in lower_bounds(pyproject).items()
        if name not in run or release(run[name]) != release(bound)
    ]
