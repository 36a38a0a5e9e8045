"""The table of what was run with which versions, and what it says of the lower bounds in
pyproject.toml."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from parity_tests import tables

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
        failures = []
        if not re.fullmatch(r"\d+ passed", self.tests):
            failures.append(f"tests: {self.tests}")
        for name, text in self.smoke.items():
            if text.startswith("FAILED"):
                failures.append(f"{name}: {text}")
        return failures

    def limits(self) -> list[str]:
        """The kinds of checks that need another version, with it."""
        limits = set()
        for name, text in self.smoke.items():
            if text.startswith("needs"):
                limits.add(_limit(name, text))
        return sorted(limits)

    def cells(self) -> list[str]:
        versions = [self.versions[name].partition("+")[0] for name in COLUMNS]
        works = sum(text == "ok" for text in self.smoke.values())
        checks = f"{works} of {len(self.smoke)}"
        remarks = self.limits()
        failures = self.failures()
        if failures:
            remarks.insert(0, f"{len(failures)} failed")
        return [self.name, *versions, self.tests, checks, "; ".join(remarks)]


def _limit(name: str, text: str) -> str:
    framework, *_, kind = name.split(", ", 2)
    version, _, _ = text.removeprefix("needs ").partition(": ")
    return f"{kind}: {framework} {version}"


def markdown(rows: Iterable[Row]) -> str:
    header = ["", *COLUMNS, "tests", "smoke", "what needs another version"]
    rule = [tables.LEFT] * len(header)
    return tables.markdown(header, rule, [row.cells() for row in rows])


def oldest_in(page: str) -> dict[str, str]:
    """The versions of the row "oldest" of a page, if it has one."""
    match = re.search(r"^\| oldest \| (.*) \|$", page, re.M)
    if match is None:
        return {}
    versions = match[1].split(" | ")
    return dict(zip(COLUMNS, versions, strict=False))


def disagreements(pyproject: str, page: str) -> list[str]:
    """Where the lower bounds of pyproject.toml are not the versions that the page says were run."""
    oldest = oldest_in(page)
    messages = []
    for name, bound in lower_bounds(pyproject).items():
        if name in oldest and release(oldest[name]) == release(bound):
            continue
        messages.append(
            f"pyproject.toml asks for {name}>={bound}, and the oldest in docs/versions.md is "
            f"{oldest.get(name, 'none')}: correct the bound, or make the table again."
        )
    return messages
