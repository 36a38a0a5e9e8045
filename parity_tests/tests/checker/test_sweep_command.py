"""The command of the sweep: its table, its results file, and what it refuses."""

import itertools
from pathlib import Path

import pytest

from parity_tests.checker.sweep import blocks, command
from parity_tests.checker.sweep.record import Cell, Settings
from parity_tests.tests.parametrize import slow

PORTS = "parity_tests.tests.checker.sweep_ports"
RIGHT = "focal_jax:sigmoid_focal_loss"
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("framework", ["jax", slow("torch")])
def test_the_sample_of_both_packages(framework: str, capsys: Capture) -> None:
    target = f"focal_{framework}:sigmoid_focal_loss"
    options = ["--framework", framework, "--sample", "--markdown", "--jobs", "1"]
    assert command.main([target, *options]) == 0
    _, _, *lines = capsys.readouterr().out.splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines]
    cells = [(float(row[0]), int(row[1])) for row in rows]
    assert cells == list(itertools.product(command.GAMMAS, (0, 1)))
    for row in rows:
        assert row[6:9] == ["0", "0", "0"]
    assert sum(int(row[11]) for row in rows) == 140836864


FAMILY = {
    "quality": ("sigmoid_focal_loss", "2"),
    "varifocal": ("varifocal_loss", "2"),
    "heatmap": ("heatmap_focal_loss", "2"),
    "asymmetric": ("asymmetric_loss", "4"),
}


@pytest.mark.parametrize("framework", ["jax", slow("torch")])
@pytest.mark.parametrize("loss", FAMILY)
def test_the_sample_of_the_family(framework: str, loss: str, capsys: Capture) -> None:
    function, gamma = FAMILY[loss]
    options = ["--framework", framework, "--loss", loss, "--gamma", gamma]
    options += ["--sample", "--markdown", "--jobs", "1"]
    assert command.main([f"focal_{framework}:{function}", *options]) == 0
    assert capsys.readouterr().out.count(" 0 | 0 | 0 |") == 2


@pytest.mark.parametrize("labels", ["int32", "bool"])
def test_targets_that_a_dtype_rounds_are_refused(labels: str, capsys: Capture) -> None:
    options = ["--framework", "jax", "--loss", "varifocal", "--targets", labels, "--sample"]
    assert command.main(["focal_jax:varifocal_loss", *options]) == 2
    assert f"{labels} has not the targets 0 and 0.75 of varifocal" in one_line(capsys)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """A sample of six exponents, and the options for it."""
    monkeypatch.setattr(Settings, "blocks", 6)
    options = ["--framework", "jax", "--gamma", "2", "--sample", "--markdown", "--jobs", "1"]
    return [*options, "--results", str(tmp_path / "results.jsonl")]


def test_an_interrupted_sweep_goes_on(
    few: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    assert command.main([RIGHT, *few[:-2]]) == 0
    expected = capsys.readouterr().out
    measure = blocks.measure
    measured: list[int] = []

    def interrupted(settings: Settings, block: int) -> list[Cell]:
        measured.append(block)
        if len(measured) == 4:
            raise KeyboardInterrupt
        return measure(settings, block)

    monkeypatch.setattr(blocks, "measure", interrupted)
    assert command.main([RIGHT, *few]) == 130
    assert "the same command goes on" in capsys.readouterr().err
    # A line that was cut off is measured again.
    with Path(few[-1]).open("a") as file:
        file.write('{"block": 3, "cel')
    assert command.main([RIGHT, *few]) == 0
    assert measured == [0, 1, 2, 3, 3, 4, 5]
    assert capsys.readouterr().out == expected
    assert command.main([RIGHT, *few]) == 0
    assert len(measured) == 7, "all blocks are in the results file"
    assert capsys.readouterr().out == expected


def test_processes_find_what_one_process_finds(few: list[str], capsys: Capture) -> None:
    assert command.main([RIGHT, *few[:-2]]) == 0
    expected = capsys.readouterr().out
    few[few.index("--jobs") + 1] = "2"
    assert command.main([RIGHT, *few]) == 0
    assert capsys.readouterr().out == expected
    assert len(Path(few[-1]).read_text().splitlines()) == 7


@pytest.mark.parametrize(
    ("port", "options"), [(f"{PORTS}:right", ()), (RIGHT, ("--gamma", "1"))], ids=["port", "gamma"]
)
def test_results_of_another_sweep_are_refused(
    few: list[str], port: str, options: tuple[str, ...], capsys: Capture
) -> None:
    assert command.main([RIGHT, *few]) == 0
    before = Path(few[-1]).read_text()
    capsys.readouterr()
    assert command.main([port, *few, *options]) == 2
    assert "belongs to another sweep: " in one_line(capsys)
    assert Path(few[-1]).read_text() == before


def test_another_version_of_the_port_is_refused(
    few: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = tmp_path / "changing_port.py"
    arguments = ["changing_port:sigmoid_focal_loss", *few]
    module.write_text("from focal_jax import sigmoid_focal_loss\n")
    assert command.main(arguments) == 0
    module.write_text("from focal_jax import sigmoid_focal_loss\n# changed\n")
    assert command.main(arguments) == 2
    assert "belongs to another sweep: source is " in one_line(capsys)


@pytest.mark.parametrize("text", ["notes\n", "notes", "[1]\n", '{"port": 1}'])
def test_other_files_are_left_alone(few: list[str], text: str, capsys: Capture) -> None:
    Path(few[-1]).write_text(text)
    assert command.main([RIGHT, *few]) == 2
    assert "is no results file of a sweep" in one_line(capsys)
    assert Path(few[-1]).read_text() == text


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_module:loss", "cannot import no_such_module"),
        ("focal_jax:no_such_loss", "focal_jax has no 'no_such_loss'"),
        ("focal_jax", "does not name a port"),
        ("focal_torch:sigmoid_focal_loss", "sigmoid_focal_loss raised TypeError: "),
        (f"{PORTS}:total", "returned float32 of shape ()"),
    ],
)
def test_bad_ports_are_refused_in_one_line(target: str, message: str, capsys: Capture) -> None:
    assert command.main([target, "--framework", "jax", "--sample"]) == 2
    assert message in one_line(capsys)


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
    cell = Cell(2.0, 1, 7.5, -0.5, 8.0, 1.0, 1, 2, 3, 4, 5.0, 6)
    monkeypatch.setattr(command, "sweep", lambda *_: [cell])
    assert command.main([RIGHT, "--framework", "jax", "--sample"]) == 1
    text = capsys.readouterr().out
    assert "γ = 2, target 1: value off by 7.5 eps at -0x1p-1 = -0.5, allowed 7" in text
    assert "gradient off" not in text
    for entry in ("7.50 of 7", "8.00 of 8", "-0x1p-1", "-0.5", "1", "2", "3", "4", "6"):
        assert f" {entry} " in text
