"""Exit code 2, and one line that says what to do, for every way to call the command wrongly."""

import shlex

import pytest

from parity_tests.checker.cli import main

SIGMOID = ("--as", "sigmoid_focal_loss", "--framework", "torch")
FORMULA = ("some_ports:formula", *SIGMOID)
Capture = pytest.CaptureFixture[str]


def require_one_line(arguments: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["check", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("focal-parity: ")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("port", "message"),
    [
        ("no_such_module:loss", "cannot import no_such_module: ModuleNotFoundError"),
        ("broken:loss", "cannot import broken: ModuleNotFoundError: No module named 'nothing"),
        ("no_such_file.py:loss", "cannot import no_such_file.py: FileNotFoundError"),
        (
            "broken.py:loss",
            "cannot import broken.py: ModuleNotFoundError: No module named 'nothing",
        ),
        ("some_ports:missing", "some_ports has no 'missing'; it has "),
        ("some_ports", "write MODULE:ATTRIBUTE"),
        ("some_ports:NUMBER", "is a int and cannot be called"),
        ("some_ports:renamed", "say it by --map logits=THEIRS"),
        ("some_ports:no_arguments", "cannot tell which argument"),
        (
            "some_ports:raises",
            "raised RuntimeError: first line; it was called with logits of shape",
        ),
        ("some_ports:nothing_but_nan", "returns NaN for every one of 6 ordinary logits"),
        ("some_ports:matrix", "returned shape (6, 6) for logits of shape (6,)"),
        ("some_ports:double", "returned float64 for logits of float32"),
        ("some_ports:integer", "returned int64"),
        ("some_ports:text", "return the loss as an array"),
        ("some_ports:none", "return the loss as an array"),
        ("some_ports:leaves", "raised SystemExit: 0, which ends the process"),
    ],
)
@pytest.mark.usefixtures("ports")
def test_a_bad_port_is_one_line(port: str, message: str, capsys: Capture) -> None:
    require_one_line((port, *SIGMOID), message, capsys)


@pytest.mark.usefixtures("ports")
def test_a_process_that_dies_is_one_line(capsys: Capture) -> None:
    message = "a process of the check has died: try --jobs 1"
    require_one_line(("some_ports:dies", *SIGMOID, "--jobs", "2"), message, capsys)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--framework", "caffe", "there is no framework 'caffe'"),
        ("--dtype", "float128", "there is no dtype 'float128'"),
        ("--layer", "colours", "there is no layer 'colours'"),
        ("--convention", "beta=1", "there is no convention 'beta'"),
        ("--convention", "alpha=up", "no choice of alpha 'up'"),
        ("--set", "delta=1", "there is no setting 'delta'"),
        ("--set", "gamma", "write NAME=VALUE"),
        ("--set", "gamma=-1", "gamma has to be a number of at least 0 and"),
        ("--set", "alpha=3", "alpha has to be none or a number in [0, 1]"),
        ("--set", "weight=1", "takes no weight, so that --set weight has no"),
        ("--map", "gamma=power", "has no argument 'power'; it has inputs"),
        ("--xfails", "none.txt", "cannot read the expected failures"),
        ("--jobs", "0", "--jobs has to be at least 1, not 0"),
        ("--at", "logits=3", "is no point; write JSON such as"),
        ("--at", '{"logits": 1, "targets": 1}', "--at: gamma has to be there"),
        (
            *("--at", '{"logits": 1, "targets": 1, "gamma": 2, "beta": 1}'),
            "--at: beta has to be one of logits",
        ),
        (
            *("--at", '{"logits": [1], "targets": 1, "gamma": 2}'),
            "--at: logits has to be a number",
        ),
        (
            *("--at", '{"logits": 1e39, "targets": 1, "gamma": 2}'),
            "--at: logits has to be finite in float32",
        ),
    ],
)
@pytest.mark.usefixtures("ports")
def test_a_bad_option_is_one_line(option: str, value: str, message: str, capsys: Capture) -> None:
    require_one_line((*FORMULA, option, value), message, capsys)


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("", "give a port to check"),
        (
            "some_ports:formula",
            "'formula' is no function of the contract; say what the port is",
        ),
        (
            "some_ports:fixed --as sigmoid_focal_loss --framework torch"
            " --map logits=scores --map targets=truth --set alpha=0.5",
            "takes no gamma; say which value it has, e.g. --set gamma=2.0",
        ),
        (
            "some_ports:WithWeights --as softmax_focal_loss --framework torch",
            "--map alpha=weight",
        ),
        (
            "focal_torch:softmax_focal_loss"
            """ --at '{"logits": [1, 2], "targets": 2, "gamma": 2}'""",
            "--at: targets has to be a class id from 0 to 1",
        ),
        (
            "focal_torch:softmax_focal_loss --input probabilities",
            "probabilities are for the sigmoid loss",
        ),
        (
            "focal_torch:sigmoid_focal_loss --layer shapes --json /proc/none/x",
            "cannot write /proc/none/x",
        ),
        ("--command ./no_such_program --as sigmoid_focal_loss", "no_such_program"),
        ("--command cat", "say what the program is by --as"),
        ("--command cat --as sigmoid_focal_loss --map a=b", "--map is for Python"),
    ],
)
@pytest.mark.usefixtures("ports")
def test_a_bad_command_is_one_line(command: str, message: str, capsys: Capture) -> None:
    require_one_line(tuple(shlex.split(command)), message, capsys)


@pytest.mark.parametrize(
    "arguments", [["check", "--colour"], ["no_such_command"], [], ["vectors", "--format", "xml"]]
)
def test_wrong_options_are_one_line(arguments: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
