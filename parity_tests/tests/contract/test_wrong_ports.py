"""Every published mistake is rejected, for its own reason: where it is not made, the same port
passes."""

import pytest

from parity_tests.ports.packages import JAX, JaxPort
from parity_tests.wrong_ports import MISTAKES
from parity_tests.wrong_ports.mistake import Mistake
from parity_tests.wrong_ports.probes import FamilyProbe, Probe, Reduced, Refuses, SoftmaxProbe

each_mistake = pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)


def port_of(mistake: Mistake) -> JaxPort:
    port = JaxPort()
    port.name, port.module = mistake.name, mistake.module
    return port


@each_mistake
def test_is_right_where_the_mistake_is_not_made(mistake: Mistake) -> None:
    mistake.control.check(port_of(mistake))


@each_mistake
def test_is_rejected_for_its_reason(mistake: Mistake) -> None:
    with pytest.raises(AssertionError, match=mistake.reason):
        mistake.probe.check(port_of(mistake))


@each_mistake
def test_the_library_passes_both(mistake: Mistake) -> None:
    mistake.control.check(JAX)
    mistake.probe.check(JAX)


def test_there_are_as_many_as_were_published() -> None:
    assert len(MISTAKES) == 34
    kinds = {type(mistake.probe) for mistake in MISTAKES.values()}
    assert kinds == {Probe, SoftmaxProbe, FamilyProbe, Reduced, Refuses}
