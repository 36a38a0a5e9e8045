"""A loss draws no random numbers: others, and their seeds, rest on the same state."""

from collections.abc import Iterator

from parity_tests.ports.python import PythonPort
from parity_tests.ports.questions import first
from parity_tests.ports.side_effects import advanced, is_state, random_states
from parity_tests.ports.subject import GRADIENT, VALUE, Plan, PortError, Subject

from ..judge import Finding


def random_states_stay(subject: Subject, plan: Plan, failed: list[PortError]) -> Iterator[Finding]:
    if not isinstance(subject, PythonPort):
        return
    for order in (VALUE, GRADIENT):
        if order not in subject.orders:
            continue
        with advanced():
            before = random_states()
            try:
                subject.answer(first(plan), order)
            except PortError as error:
                failed.append(error)
                continue
            after = random_states()
        for library, state in before.items():
            same = is_state(after[library], state)
            message = f"the loss draws random numbers of {library}, or sets their seed"
            point = {"derivative": order}
            yield Finding.exact(same, "another random state", "the same", point, message)
