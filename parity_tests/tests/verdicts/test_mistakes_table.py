"""Each published mistake has a row with the grade that it deserves."""

import pytest

from parity_tests.checker.layers import grades
from parity_tests.pages.mistakes_table import HEADER, main
from parity_tests.tests import markdown
from parity_tests.tests.parametrize import slow
from parity_tests.wrong_ports import MISTAKES

BELOW = grades.shown(grades.NONE)
# Another function at ordinary logits, or the right one without its tails; the layer that keeps it
# from the next grade, and what is named.
KNOWN = {
    "alpha_reversed": (BELOW, "values", "negative"),
    "mean_over_ignored": (BELOW, "options", "mean_all"),
    "weight_in_the_divisor": (BELOW, "options", "mean_weights"),
    "one_minus_p": (grades.SAME, "values", "cancels"),
    "softmax_through_log_p": (grades.SAME, "values", "cancels"),
}
QUICK = "one_minus_p"


@pytest.mark.parametrize("name", [QUICK, *map(slow, sorted(KNOWN.keys() - {QUICK}))])
def test_a_mistake_has_its_grade(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", name, "--markdown"]) == 0
    header, row = markdown.rows(capsys.readouterr().out)
    assert tuple(header) == HEADER
    grade, layer, diagnosis = KNOWN[name]
    assert row[:4] == [f"`{name}`", f"`{MISTAKES[name].function}`", grade, layer]
    assert f"`{diagnosis}`" in row[4]


def test_a_name_that_no_mistake_has_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--only", "nobody"])
    assert "nobody" in capsys.readouterr().err
