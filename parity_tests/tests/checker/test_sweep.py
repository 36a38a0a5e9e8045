"""The sweep over float32: its twin, its sample on both packages, its results file, and the faults
that it must see."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import focal_jax
from parity_tests.checker.sweep import blocks, command, table
from parity_tests.checker.sweep.record import Cell, Settings, empty
from parity_tests.contract.compare import error_in_eps
from parity_tests.contract.exact import Draws
from parity_tests.contract.tolerances import EPS, SMALLEST_NORMAL
from parity_tests.tests.parametrize import slow
from parity_tests.truth import float64, oracle

HERE = "parity_tests.tests.checker.test_sweep"
RIGHT = "focal_jax:sigmoid_focal_loss"
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("number", range(len(command.GAMMAS)))
def test_the_float64_twin_at_every_exponent(number: int) -> None:
    """To 16 eps of float64, which is 3e-8 eps of float32."""
    gamma, draws = command.GAMMAS[number], Draws(number)
    bits = np.arange(255) << 23 | draws.integers(0, 2**23, 255)
    magnitudes = bits.astype(np.uint32).view(np.float32).astype(float)
    focal = float64.focal(float64.both_margins(magnitudes), gamma)
    for i, a in enumerate(magnitudes.tolist()):
        # Where the loss bends both margins are asked for, elsewhere they take turns with the
        # targets.
        for row in (0, 1) if 119 <= i < 135 else ((i + number) % 2,):
            target = i // 2 % 2
            got = [x[row, i] for x in blocks.truths(focal, target)]
            check_the_twin(a if row != target else -a, target, gamma, got)


def check_the_twin(logit: float, target: int, gamma: float, got: list[Any]) -> None:
    jet = oracle.certified(oracle.sigmoid_focal_loss, logit, target, blocks.ALPHA, gamma)
    for x, term in zip(got, (jet[()], jet["logits",]), strict=True):
        error = abs(float(x) - term.value) - SMALLEST_NORMAL["float64"]
        assert error <= 16 * EPS["float64"] * abs(term.value), (logit, target, gamma)


@pytest.mark.parametrize("block", [0, 1, 511, 1023])
def test_every_logit_is_in_one_block(block: int) -> None:
    settings, first = Settings(RIGHT, "jax", command.GAMMAS), block * 2**21
    ((magnitudes, gammas),) = blocks.groups(settings, block)
    assert gammas == command.GAMMAS
    assert np.array_equal(magnitudes[1:], np.arange(first, first + 2**21))
    assert magnitudes[0] == max(first - 1, 0), "the neighbour before it belongs to the block before"
    assert 2 * 2**21 * settings.blocks == 2**32


@pytest.mark.parametrize("block", [0, 60, 118, 119, 127, 134, 135, 254, 255])
@pytest.mark.parametrize("gammas", [command.GAMMAS, (2.0,), (1.0, 2.0, 3.0)])
def test_the_sample_has_65536_mantissas_of_every_exponent(
    gammas: tuple[float, ...], block: int
) -> None:
    settings = Settings(RIGHT, "jax", gammas, sample=True)
    found = list(blocks.groups(settings, block))
    assert {gamma for _, group in found for gamma in group} == set(gammas)
    assert all((len(magnitudes) - 1) % settings.chunk == 0 for magnitudes, _ in found)
    magnitudes = np.concatenate([magnitudes[1:] for magnitudes, _ in found])
    assert np.array_equal(np.unique(magnitudes >> 23), [block])
    assert len(np.unique(magnitudes)) == len(magnitudes) == 2**16
    assert {block << 23, (block << 23) + 2**23 - 1} <= set(magnitudes.tolist()), (
        "both ends are among them"
    )


@pytest.mark.parametrize("framework", ["jax", slow("torch")])
def test_the_sample_of_both_packages(framework: str, capsys: Capture) -> None:
    target = f"focal_{framework}:sigmoid_focal_loss"
    assert (
        command.main([target, "--framework", framework, "--sample", "--markdown", "--jobs", "1"])
        == 0
    )
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()[2:]]
    assert [(float(row[0]), int(row[1])) for row in rows] == [
        (g, y) for g in command.GAMMAS for y in (0, 1)
    ]
    assert all(row[6:9] == ["0", "0", "0"] for row in rows)
    assert sum(int(row[11]) for row in rows) == 140836864


def close_to_one(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    """1 − σ instead of σ(−u)."""
    u = jnp.where(targets == 1, logits, -logits)
    return (
        jnp.where(targets == 1, alpha, 1 - alpha)
        * (1 - jax.nn.sigmoid(u)) ** gamma
        * jax.nn.softplus(-u)
    )


def right(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return focal_jax.sigmoid_focal_loss(logits, targets, alpha=alpha, gamma=gamma)


def bumpy(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    """A step of 32 eps."""
    return right(logits, targets, alpha=alpha, gamma=gamma) * jnp.where(
        jnp.abs(logits) < 3, 1.0, 1 + 2**-18
    )


def clipped(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return right(jnp.clip(jnp.nan_to_num(logits), -1e30, 1e30), targets, alpha=alpha, gamma=gamma)


def gaps(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return jnp.where(logits == 1, jnp.nan, right(logits, targets, alpha=alpha, gamma=gamma))


def cells(target: str, *exponents: int, gamma: float = 2.0) -> dict[int, Cell]:
    """What blocks of the sample, which are exponents, find for each target."""
    settings = Settings(target, "jax", (gamma,), sample=True)
    found = empty(settings)
    for block in exponents:
        for cell in blocks.measure(settings, block):
            found[cell.gamma, cell.target] += cell
    return {target: cell for (_, target), cell in found.items()}


def test_the_worst_errors_are_those_that_the_oracle_finds() -> None:
    for target, cell in cells(RIGHT, 126, gamma=1.5).items():
        evaluate = blocks.evaluate(Settings(RIGHT, "jax", (1.5,), sample=True), 1.5)
        for order, logit, error in ((0, cell.value_at, cell.value), (1, cell.slope_at, cell.slope)):
            got = evaluate(np.full(1, logit, np.float32), np.full(1, target))[order]
            term = oracle.certified(oracle.sigmoid_focal_loss, logit, target, 0.25, 1.5)[
                ("logits",) * order
            ]
            assert error > 2
            assert error == pytest.approx(
                error_in_eps(float(got[0]), term, "float32", 0.0), rel=1e-6
            )


def test_gamma_is_what_float32_has() -> None:
    assert command.exponent("0.3") == float(np.float32(0.3)) != 0.3


def test_a_probability_that_is_close_to_one_is_seen() -> None:
    found = cells(f"{HERE}:close_to_one", 130, 131)
    for target, cell in found.items():
        assert cell.value >= 2**23, "the loss is 0, or of another size"
        assert 15 < (cell.value_at if target else -cell.value_at) < 18
    lines = list(table.failures(found.values()))
    assert len(lines) == 4
    assert re.match(
        r"γ = 2, target 0: value off by 2.5\d+e\+07 eps at -0x1.\w+p\+4 = -1\d.\d+, allowed 7$",
        lines[0],
    )


def test_a_loss_that_rises_is_seen() -> None:
    """Between the last logit of one block and the first one, 3, of the next."""
    for target, least, most in ((f"{HERE}:bumpy", 20, 32), (RIGHT, 0, 3)):
        for cell in blocks.measure(Settings(target, "jax", (2.0,)), 514):
            assert least <= cell.rise <= most


def test_infinity_and_nan_that_are_lost_are_seen() -> None:
    for target, cell in cells(f"{HERE}:clipped", 255).items():
        assert (cell.infinities, cell.nans, cell.nans_lost) == (1, 0, 2**17 - 2)
        assert cell.slope_at == (np.inf if target == 0 else -np.inf), "there the gradient is not 0"
    for cell in cells(RIGHT, 255).values():
        assert (cell.infinities, cell.nans, cell.nans_lost, cell.logits) == (0, 0, 0, 2**17)


def test_nan_that_was_made_is_seen() -> None:
    for cell in cells(f"{HERE}:gaps", 127).values():
        assert (cell.infinities, cell.nans, cell.nans_lost) == (0, 1, 0)
        assert cell.value < 7, "the error of the others is still reported"


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A sample of six exponents, and the options for it."""
    monkeypatch.setattr(Settings, "blocks", 6)
    results = str(tmp_path / "results.jsonl")
    return [
        "--framework",
        "jax",
        "--gamma",
        "2",
        "--sample",
        "--markdown",
        "--jobs",
        "1",
        "--results",
        results,
    ]


def test_an_interrupted_sweep_goes_on(
    few: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert command.main([RIGHT, *few[:-2]]) == 0
    expected, asked = capsys.readouterr().out, []
    measure = blocks.measure

    def interrupted(settings: Settings, block: int) -> list[Cell]:
        asked.append(block)
        if len(asked) == 4:
            raise KeyboardInterrupt
        return measure(settings, block)

    monkeypatch.setattr(blocks, "measure", interrupted)
    assert command.main([RIGHT, *few]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    with Path(few[-1]).open("a") as file:
        file.write('{"block": 3, "cel')
    assert command.main([RIGHT, *few]) == 0
    assert asked == [0, 1, 2, 3, 3, 4, 5]
    assert capsys.readouterr().out == expected
    assert command.main([RIGHT, *few]) == 0
    assert (len(asked), capsys.readouterr().out) == (7, expected)


def test_processes_find_what_one_process_finds(few: list[str], capsys: Capture) -> None:
    assert command.main([RIGHT, *few[:-2]]) == 0
    expected = capsys.readouterr().out
    few[few.index("--jobs") + 1] = "2"
    assert command.main([RIGHT, *few]) == 0
    assert capsys.readouterr().out == expected
    assert len(Path(few[-1]).read_text().splitlines()) == 7


@pytest.mark.parametrize("changed", [{"port": f"{HERE}:right"}, {"options": ["--gamma", "1"]}])
def test_results_of_another_sweep_are_refused(
    few: list[str], changed: dict[str, Any], capsys: Capture
) -> None:
    assert command.main([RIGHT, *few]) == 0
    before = Path(few[-1]).read_text()
    capsys.readouterr()
    assert command.main([changed.get("port", RIGHT), *few, *changed.get("options", ())]) == 2
    assert "belongs to another sweep: " in one_line(capsys)
    assert Path(few[-1]).read_text() == before


def test_another_version_of_the_port_is_refused(
    few: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = "from focal_jax import sigmoid_focal_loss\n"
    (tmp_path / "changing_port.py").write_text(source)
    assert command.main(["changing_port:sigmoid_focal_loss", *few]) == 0
    (tmp_path / "changing_port.py").write_text(source + "# changed\n")
    assert command.main(["changing_port:sigmoid_focal_loss", *few]) == 2
    assert "belongs to another sweep: source is " in one_line(capsys)


@pytest.mark.parametrize("text", ["notes\n", "notes", "[1]\n", '{"port": 1}'])
def test_other_files_are_left_alone(few: list[str], text: str, capsys: Capture) -> None:
    Path(few[-1]).write_text(text)
    assert command.main([RIGHT, *few]) == 2
    assert "is no results file of a sweep" in one_line(capsys)
    assert Path(few[-1]).read_text() == text


def total(logits: jax.Array, targets: jax.Array, *, alpha: float, gamma: float) -> jax.Array:
    return right(logits, targets, alpha=alpha, gamma=gamma).sum()


BAD = {
    "no_such_module:loss": "cannot import no_such_module",
    "focal_jax:no_such_loss": "focal_jax has no 'no_such_loss'",
    "focal_jax": "does not name a port",
    "focal_torch:sigmoid_focal_loss": "sigmoid_focal_loss raised TypeError: ",
    f"{HERE}:total": "returned float32 of shape ()",
}


@pytest.mark.parametrize("target", BAD)
def test_bad_ports_are_refused_in_one_line(target: str, capsys: Capture) -> None:
    assert command.main([target, "--framework", "jax", "--sample"]) == 2
    assert BAD[target] in one_line(capsys)


@pytest.mark.parametrize(
    "options", [["--gamma", "-1"], ["--gamma", "x"], ["--jobs", "0"], ["--framework", "numpy"]]
)
def test_bad_options_are_refused_in_one_line(options: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stop:
        command.main([RIGHT, "--framework", "jax", *options])
    assert stop.value.code == 2
    assert options[0] in one_line(capsys)


def one_line(capsys: Capture) -> str:
    captured = capsys.readouterr()
    (line,) = captured.err.splitlines()
    assert line.startswith("focal-parity sweep: ")
    return line


def test_the_exit_code_and_the_table_tell_what_is_broken(
    capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Settings, "blocks", 1)
    found = [Cell(2.0, 1, 7.5, -0.5, 8.0, 1.0, 1, 2, 3, 4, 5.0, 6)]
    monkeypatch.setattr(command, "sweep", lambda *_: found)
    assert command.main([RIGHT, "--framework", "jax", "--sample"]) == 1
    text = capsys.readouterr().out
    assert "γ = 2, target 1: value off by 7.5 eps at -0x1p-1 = -0.5, allowed 7" in text
    assert "gradient off" not in text
    assert all(
        f" {cell} " in text
        for cell in ("7.50 of 7", "8.00 of 8", "-0x1p-1", "-0.5", "1", "2", "3", "4", "6")
    )
