"""Every published mistake is rejected, for its own reason: where it is not made, the same port passes."""

import importlib
import pkgutil
from types import ModuleType

import pytest

from parity_tests import wrong_ports
from parity_tests.ports.packages import JAX, JaxPort
from parity_tests.wrong_ports import Probe, Reduced, Refuses, SoftmaxProbe

NAMES = [module.name for module in pkgutil.iter_modules(wrong_ports.__path__)]
MISTAKES = [importlib.import_module(f"{wrong_ports.__name__}.{name}") for name in NAMES]
each_mistake = pytest.mark.parametrize("mistake", MISTAKES, ids=NAMES)


def port_of(mistake: ModuleType) -> JaxPort:
    port = JaxPort()
    port.name, port.module = mistake.__name__, mistake
    return port


@each_mistake
def test_is_right_where_the_mistake_is_not_made(mistake: ModuleType) -> None:
    mistake.CONTROL.check(port_of(mistake))


@each_mistake
def test_is_rejected_for_its_reason(mistake: ModuleType) -> None:
    with pytest.raises(AssertionError, match=mistake.REASON):
        mistake.PROBE.check(port_of(mistake))


@each_mistake
def test_the_library_passes_both(mistake: ModuleType) -> None:
    mistake.CONTROL.check(JAX)
    mistake.PROBE.check(JAX)


def test_there_are_as_many_as_were_published() -> None:
    assert len(MISTAKES) == 20
    kinds = {type(mistake.PROBE) for mistake in MISTAKES}
    assert kinds == {Probe, SoftmaxProbe, Reduced, Refuses}
