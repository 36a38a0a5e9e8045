"""Each published mistake has its grade in the table of docs/porting.md, and no more than it
deserves."""

import pytest

from parity_tests.checker.layers import grades
from parity_tests.pages import make_readme
from parity_tests.pages.mistakes_table import HEADER, judged, main
from parity_tests.tests import ROOT, markdown
from parity_tests.tests.parametrize import slow
from parity_tests.wrong_ports import MISTAKES

TABLE = "parity_tests.pages.mistakes_table --markdown"
BELOW = grades.shown(grades.NONE)
# What the page has to say of a few: another function, its tail alone, and what masks leave out.
KNOWN = {
    "alpha_reversed": BELOW,
    "detached_modulator": BELOW,
    "gamma_off_the_grid": BELOW,
    "mean_over_ignored": BELOW,
    "one_minus_p": grades.SAME,
    "clipped_probabilities": grades.SAME,
    "softmax_through_log_p": grades.SAME,
}


@pytest.fixture(scope="module")
def lines() -> dict[str, list[str]]:
    page = (ROOT / "docs" / "porting.md").read_text()
    _, *rows = markdown.rows(make_readme.tables(page)[TABLE])
    return {row[0].strip("`"): row for row in rows}


def test_every_mistake_has_its_grade(lines: dict[str, list[str]]) -> None:
    assert [*lines] == sorted(MISTAKES)
    shown = {grades.shown(grade) for grade in grades.ORDER}
    for name, row in lines.items():
        assert len(row) == len(HEADER)
        assert row[1] == f"`{MISTAKES[name].function}`"
        assert row[2] in shown - {grades.EXACT, grades.COMPLETE}


@pytest.mark.parametrize("name", KNOWN)
def test_the_page_has_the_known_grades(name: str, lines: dict[str, list[str]]) -> None:
    assert lines[name][2] == KNOWN[name]


# One of them in the quicker tiers, and every seventh in the slow one: `make readme` judges all.
OTHERS = sorted(MISTAKES.keys() - {"mean_over_ignored"})[::7]


@pytest.mark.parametrize("name", ["mean_over_ignored", *map(slow, OTHERS)])
def test_the_page_is_what_the_checker_says(name: str, lines: dict[str, list[str]]) -> None:
    assert tuple(lines[name]) == judged(name).cells


def test_the_command_prints_the_row(
    lines: dict[str, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--only", "alpha_reversed", "--markdown"]) == 0
    _, row = markdown.rows(capsys.readouterr().out)
    assert row == lines["alpha_reversed"]
