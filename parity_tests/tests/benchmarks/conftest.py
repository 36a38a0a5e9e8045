"""What the tests of the commands have in common."""

import pytest

from benchmarks import machine


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands take all cores, which the other tests of this worker would keep."""
    monkeypatch.setattr(machine, "use_all_cores", lambda: None)
