"""The outcome of mutants as a table, a line for each module."""

from collections import Counter

from parity_tests.tables import LEFT, RIGHT, markdown

from .equivalent import reason
from .mutant import Mutant
from .trial import CHECKER, OWN, QUICK, SPLIT, Outcome

EQUIVALENT, SURVIVED = "equivalent", "survived"
COLUMNS = (QUICK, OWN, SPLIT, CHECKER, EQUIVALENT, SURVIVED)


def table(mutants: list[Mutant], outcomes: dict[str, Outcome]) -> str:
    """Where the mutants of each module were noticed, and which share of those that are faults."""
    counts: dict[str, Counter[str]] = {}
    for mutant in mutants:
        own = counts.setdefault(mutant.path, Counter())
        if reason(mutant):
            own[EQUIVALENT] += 1
        else:
            own[outcomes[mutant.identity].killer or SURVIVED] += 1
    rows = [_row(f"`{path}`", counted) for path, counted in counts.items()]
    rows.append(_row("all", sum(counts.values(), Counter())))
    header = ("module", "mutants", *COLUMNS, "noticed")
    rule = [LEFT] + [RIGHT] * (len(header) - 1)
    return markdown(header, rule, rows)


def _row(title: str, counted: Counter[str]) -> list[str]:
    faults = counted.total() - counted[EQUIVALENT]
    noticed = faults - counted[SURVIVED]
    share = f"{100 * noticed / faults:.1f} %" if faults else "–"
    return [title, str(counted.total()), *(str(counted[name]) for name in COLUMNS), share]
