"""What the losses of detectors and taggers cost: the textbook does the same work, and a ratio
beyond its bound is the exit code.

No test is about a time.
"""

import jax
import numpy as np
import pytest

from benchmarks import family
from benchmarks.peers import EAGER, JIT

from .test_benchmarks import array

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("way", [JIT, EAGER])
def test_the_textbook_is_our_asymmetric_loss(way: str) -> None:
    """The other pairs are different losses, whose times are compared."""
    arrays = {name: x.astype(np.float64) for name, x in family.data(1000).items()}
    subjects = [subject for subject, ways in family.cases() if ways == way]
    (asymmetric,) = (subject for subject in subjects if subject.peer_name == "textbook")
    ours, peer = (jax.tree.leaves(work.call()) for work in family.works(asymmetric, way, arrays))
    for x, y in zip(ours, peer, strict=True):
        # The textbook takes p from 1. Of these logits that leaves more than ten of 16 digits.
        np.testing.assert_allclose(array(x), array(y), rtol=1e-10)


def test_a_loss_of_the_family_that_takes_too_long_is_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    case = next(family.cases())
    monkeypatch.setattr(family, "cases", lambda: iter([case]))
    monkeypatch.setattr(family, "ELEMENTS", family.QUICK_ELEMENTS)
    for middle, code in ((1.4, 0), (1.6, 1)):
        monkeypatch.setattr(family, "ratios", lambda *_, x=middle: (x, x, x))
        assert family.main([]) == code
        assert ("quality, jit: 1.60, allowed 1.5" in capsys.readouterr().err) == bool(code)
    assert family.main(["--markdown"]) == 0
    assert "| quality | jit | sigmoid | 1.60 |" in capsys.readouterr().out


@pytest.mark.slow
def test_the_family_is_timed(capsys: pytest.CaptureFixture[str]) -> None:
    assert family.main(["--quick", "--markdown"]) == 0
    out = capsys.readouterr().out
    assert all(out.count(f"| {name} |") == 3 for name in ("quality", "heatmap", "asymmetric"))
