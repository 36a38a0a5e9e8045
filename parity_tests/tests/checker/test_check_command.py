"""The command as people use it: rows, files, exit codes; and one line for every way to call it
wrongly."""

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from parity_tests.checker.cli import main
from parity_tests.tests import ROOT

PORTS = Path(__file__).with_name("sample_ports.py").read_text()


@pytest.fixture
def ports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a module of ports, which is where the command is called."""
    (tmp_path / "some_ports.py").write_text(PORTS)
    (tmp_path / "broken.py").write_text("import nothing_of_this_name\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("some_ports", "broken"):
        sys.modules.pop(name, None)
    return tmp_path


SIGMOID = ("--as", "sigmoid_focal_loss", "--framework", "torch")
FEW = ("--layer", "values", "--layer", "gradients")


def check(*arguments: str) -> int:
    return main(["check", *arguments])


# What is given, and what the one line has to say.
BAD = {
    "no port": ((), "give a port to check"),
    "no module": (
        ("no_such_module:loss", *SIGMOID),
        "cannot import no_such_module: ModuleNotFoundError",
    ),
    "broken module": (
        ("broken:loss", *SIGMOID),
        "cannot import broken: ModuleNotFoundError: No module named 'nothing",
    ),
    "no attribute": (("some_ports:missing", *SIGMOID), "some_ports has no 'missing'; it has "),
    "no colon": (("some_ports", *SIGMOID), "write MODULE:ATTRIBUTE"),
    "not callable": (("some_ports:NUMBER", *SIGMOID), "is a int and cannot be called"),
    "no such function": (
        ("some_ports:formula",),
        "'formula' is no function of the contract; say what the port is",
    ),
    "no framework": (
        ("some_ports:formula", "--as", "sigmoid_focal_loss", "--framework", "caffe"),
        "there is no framework 'caffe'",
    ),
    "no dtype": (
        ("some_ports:formula", *SIGMOID, "--dtype", "float128"),
        "there is no dtype 'float128'",
    ),
    "no layer": (
        ("some_ports:formula", *SIGMOID, "--layer", "colours"),
        "there is no layer 'colours'",
    ),
    "no convention": (
        ("some_ports:formula", *SIGMOID, "--convention", "beta=1"),
        "there is no convention 'beta'",
    ),
    "no choice": (
        ("some_ports:formula", *SIGMOID, "--convention", "alpha=up"),
        "no choice of alpha 'up'",
    ),
    "no setting": (
        ("some_ports:formula", *SIGMOID, "--set", "delta=1"),
        "there is no setting 'delta'",
    ),
    "no pair": (("some_ports:formula", *SIGMOID, "--set", "gamma"), "write NAME=VALUE"),
    "bad gamma": (
        ("some_ports:formula", *SIGMOID, "--set", "gamma=-1"),
        "gamma has to be a number of at least 0 and",
    ),
    "bad alpha": (
        ("some_ports:formula", *SIGMOID, "--set", "alpha=3"),
        "alpha has to be none or a number in [0, 1]",
    ),
    "no argument": (
        ("some_ports:formula", *SIGMOID, "--map", "gamma=power"),
        "has no argument 'power'; it has inputs",
    ),
    "unclear": (("some_ports:renamed", *SIGMOID), "say it by --map logits=THEIRS"),
    "no gamma": (
        (
            "some_ports:fixed",
            *SIGMOID,
            "--map",
            "logits=scores",
            "--map",
            "targets=truth",
            "--set",
            "alpha=0.5",
        ),
        "takes no gamma; say which value it has, e.g. --set gamma=2.0",
    ),
    "no parameters": (("some_ports:no_arguments", *SIGMOID), "cannot tell which argument"),
    "raises": (
        ("some_ports:raises", *SIGMOID),
        "raised RuntimeError: first line; it was called with logits of shape",
    ),
    "nan": (
        ("some_ports:nothing_but_nan", *SIGMOID),
        "returns NaN for every one of 6 ordinary logits",
    ),
    "shape": (("some_ports:matrix", *SIGMOID), "returned shape (6, 6) for logits of shape (6,)"),
    "dtype": (("some_ports:double", *SIGMOID), "returned float64 for logits of float32"),
    "integer": (("some_ports:integer", *SIGMOID), "returned int64"),
    "text": (("some_ports:text", *SIGMOID), "return the loss as an array"),
    "none": (("some_ports:none", *SIGMOID), "return the loss as an array"),
    "bad point": (
        ("some_ports:formula", *SIGMOID, "--at", "logits=3"),
        "is no point; write JSON such as",
    ),
    "no key": (
        ("some_ports:formula", *SIGMOID, "--at", '{"logits": 1, "targets": 1}'),
        "--at: gamma has to be there",
    ),
    "other key": (
        (
            "some_ports:formula",
            *SIGMOID,
            "--at",
            '{"logits": 1, "targets": 1, "gamma": 2, "beta": 1}',
        ),
        "--at: beta has to be one of logits",
    ),
    "bad key": (
        ("some_ports:formula", *SIGMOID, "--at", '{"logits": [1], "targets": 1, "gamma": 2}'),
        "--at: logits has to be a number",
    ),
    "overflow": (
        ("some_ports:formula", *SIGMOID, "--at", '{"logits": 1e39, "targets": 1, "gamma": 2}'),
        "--at: logits has to be finite in float32",
    ),
    "no class": (
        ("focal_torch:softmax_focal_loss", "--at", '{"logits": [1, 2], "targets": 2, "gamma": 2}'),
        "--at: targets has to be a class id from 0 to 1",
    ),
    "exit": (("some_ports:leaves", *SIGMOID), "raised SystemExit: 0"),
    "no effect": (
        ("some_ports:formula", *SIGMOID, "--set", "weight=1"),
        "takes no weight, so that --set weight has no",
    ),
    "weight of a class": (
        ("some_ports:WithWeights", "--as", "softmax_focal_loss", "--framework", "torch"),
        "--map alpha=weight",
    ),
    "no folder": (
        ("focal_torch:sigmoid_focal_loss", "--layer", "shapes", "--json", "/proc/none/x"),
        "cannot write /proc/none/x",
    ),
    "softmax probabilities": (
        ("focal_torch:softmax_focal_loss", "--input", "probabilities"),
        "probabilities are for the sigmoid loss",
    ),
    "no xfails": (
        ("some_ports:formula", *SIGMOID, "--xfails", "none.txt"),
        "cannot read the expected failures",
    ),
    "no program": (
        ("--command", "./no_such_program", "--as", "sigmoid_focal_loss"),
        "no_such_program",
    ),
    "no function": (("--command", "cat"), "say what the program is by --as"),
    "option of Python": (
        ("--command", "cat", "--as", "sigmoid_focal_loss", "--map", "a=b"),
        "--map is for Python",
    ),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.usefixtures("ports")
def test_bad_input_is_one_line_and_exit_code_2(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, says = BAD[name]
    assert check(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("focal-parity: ")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments", [["check", "--colour"], ["no_such_command"], [], ["vectors", "--format", "xml"]]
)
def test_wrong_options_are_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


RIGHT = {
    "fixed": ("fixed", "--map", "logits=scores", "--map", "targets=truth", "--set", "gamma=1.5", "--set", "alpha=0.5"),
    "renamed": ("renamed", *(x for pair in ("logits=scores", "targets=truth", "gamma=focusing", "alpha=balance")
                             for x in ("--map", pair))),
    "extra": ("extra", "--pass", "from_logits=true"),
    "mean": ("mean",),
    "class weights": ("WithWeights", "--as", "softmax_focal_loss", "--map", "alpha=weight", "--set", "gamma=2"),
    "given weights": ("WithWeights", "--as", "softmax_focal_loss", "--map", "alpha=weight", "--set", "gamma=2",
                      "--set", "alpha=[0.2,0.3,0.5]"),
    "no gradient": ("detached", "--values-only"),
    "probabilities": ("probabilities", "--map", "logits=p", "--input", "probabilities", "--set", "alpha=none"),
    "numpy": ("numpy_loss", "--framework", "numpy", "--set", "alpha=none", "--gradient", "some_ports:numpy_slope"),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.usefixtures("ports")
def test_a_port_is_checked_for_what_it_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    port, *options = RIGHT[name]
    layers = ("--layer", "values") if name == "probabilities" else FEW
    assert check(f"some_ports:{port}", *SIGMOID, *options, *layers) == 0
    assert "PASS" in capsys.readouterr().out


WRONG = {
    "zeroes": ("values", "the loss changes its targets in place"),
    "unmasked": ("options", "masked elements must be 0 whatever their logits are"),
    "deaf": ("values", "your gamma has no effect: the loss has γ = 2 whatever is passed"),
    "weighted_mean": ("options", "mean divides by 6 here"),
}


@pytest.mark.parametrize("name", WRONG)
@pytest.mark.usefixtures("ports")
def test_a_port_that_misuses_its_arguments_fails(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    layer, says = WRONG[name]
    function = "softmax_focal_loss" if name == "weighted_mean" else "sigmoid_focal_loss"
    code = check(f"some_ports:{name}", "--as", function, "--framework", "torch", "--layer", layer)
    out, err = capsys.readouterr()
    assert (code, says in " ".join((out + err).split())) == (2 if name == "zeroes" else 1, True), (
        out + err
    )


@pytest.mark.usefixtures("ports")
def test_without_gradients_the_layer_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert check("some_ports:detached", *SIGMOID, "--layer", "gradients") == 1
    assert "does not require grad" in capsys.readouterr().out


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """One check of the textbook formula with all files; the folder, and what was printed."""
    folder = tmp_path_factory.mktemp("formula")
    (folder / "some_ports.py").write_text(PORTS)
    files = [x for kind in ("json", "junit", "badge") for x in (f"--{kind}", f"out/report.{kind}")]
    command = [
        sys.executable,
        "-m",
        "parity_tests.checker.cli",
        "check",
        "some_ports:formula",
        *SIGMOID,
        *files,
    ]
    path = str(ROOT)
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (1, "")
    return folder / "out", done.stdout


def test_the_report_for_people(written: tuple[Path, str]) -> None:
    text = " ".join(written[1].split())
    assert "your (1 − p_t) cancels above logit 16.8: the loss is exactly 0 from there on" in text
    assert "your gradient is NaN above logit 16.75, target 1, for γ = 0" in text
    assert "FAIL some_ports:formula in float32" in text
    assert (
        "focal-parity check some_ports:formula --as sigmoid_focal_loss --framework torch --dtype float32 --at "
        in text
    )


def test_the_readme_shows_these_sentences(written: tuple[Path, str]) -> None:
    readme = (ROOT / "README.md").read_text()
    shown = [line for line in readme.splitlines() if line.startswith("→ your")]
    text = " ".join(written[1].split())
    assert len(shown) == 2
    assert all(line in text for line in shown)


def test_the_json_has_every_layer(written: tuple[Path, str]) -> None:
    report = json.loads((written[0] / "report.json").read_text())
    assert report["passed"] is False
    assert report["function"] == "sigmoid_focal_loss"
    assert report["versions"]["torch"]
    status = {row["layer"]: row["status"] for row in report["rows"]}
    assert status["values"] == status["gradients"] == status["special values"] == "FAIL"
    assert status["names"] == status["options"] == "PASS"
    assert all(
        row["reproduce"].startswith("focal-parity check some_ports:formula")
        for row in report["rows"]
    )


def test_the_junit_file_has_a_case_per_layer(written: tuple[Path, str]) -> None:
    suite = ElementTree.fromstring((written[0] / "report.junit").read_text())
    failures = [case for case in suite if case.find("failure") is not None]
    assert int(suite.get("failures", "0")) == len(failures) > 0
    assert int(suite.get("tests", "0")) == len(suite) == 10


def test_the_badge(written: tuple[Path, str]) -> None:
    badge = json.loads((written[0] / "report.badge").read_text())
    assert badge["schemaVersion"] == 1
    assert badge["color"] == "red"


@pytest.mark.usefixtures("ports")
def test_the_line_of_a_report_shows_its_point_again(capsys: pytest.CaptureFixture[str]) -> None:
    point = '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": null}'
    assert check("focal_torch:sigmoid_focal_loss", "--at", point) == 0
    assert "8.7565" in capsys.readouterr().out
    point = '{"logits": 20.0, "targets": 1, "gamma": 2.0, "alpha": 0.25}'
    assert check("some_ports:formula", *SIGMOID, "--at", point) == 1
    assert "0.0" in capsys.readouterr().out


def test_expected_failures_are_strict(ports: Path, capsys: pytest.CaptureFixture[str]) -> None:
    listed = ports / "expected.txt"
    listed.write_text("values  # 1 − p\nfloat64 gradients\n\n# nothing else\n")
    assert (
        check("some_ports:formula", *SIGMOID, "--layer", "values", "--xfails", "expected.txt") == 0
    )
    assert "expected failure" in capsys.readouterr().out
    assert (
        check(
            "some_ports:extra",
            *SIGMOID,
            "--pass",
            "from_logits=true",
            *FEW,
            "--xfails",
            "expected.txt",
        )
        == 1
    )
    assert "take it out of the expected failures" in " ".join(capsys.readouterr().out.split())
    listed.write_text("colours\n")
    assert check("some_ports:formula", *SIGMOID, "--xfails", "expected.txt") == 2
    assert "expected.txt, line 1: 'colours' is no layer" in capsys.readouterr().err


def test_list_and_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    assert "WeightedFocalLoss" in capsys.readouterr().out
    assert main(["explain", "softmax_focal_loss"]) == 0
    assert "u_t = z_t − log Σ_{j≠t} exp(z_j)" in capsys.readouterr().out
    assert main(["explain", "hinge"]) == 2
    assert "there is no function 'hinge'" in capsys.readouterr().err


# Modules that belong to no standard library and not to the project itself.
FOREIGN = """
import importlib, sys
importlib.import_module(sys.argv[1])
names = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - set(sys.argv[2:])
print(*sorted(name for name in names if not name.startswith("_")))
"""


def foreign_modules(module: str) -> list[str]:
    """What a new process has after an import, beyond what it has before it."""
    command = [sys.executable, "-c", FOREIGN, module, "parity_tests"]
    before = subprocess.run(
        [*command[:3], "json"], capture_output=True, text=True, timeout=300, check=True
    )
    after = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    return sorted(set(after.stdout.split()) - set(before.stdout.split()))


def test_importing_the_command_imports_nothing_else() -> None:
    """Importing takes as long as what it imports: no framework, no numpy, nothing that is
    installed."""
    assert foreign_modules("parity_tests.checker.cli") == []


def test_the_test_above_would_notice() -> None:
    assert "mpmath" in foreign_modules("parity_tests.truth.oracle")
