"""Ports of every form are judged as they are: a right one passes, and its wrong twin does not."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from parity_tests.checker.cli import main
from parity_tests.checker.diagnosis.diagnose import diagnose
from parity_tests.checker.layers.build import Options, build
from parity_tests.checker.layers.check import Report, check
from parity_tests.ports.subject import BadPortError

from . import ports

SIGMOID, SOFTMAX = "sigmoid_focal_loss", "softmax_focal_loss"
LAYERS = ("values", "gradients", "special values", "options", "backward", "shapes")


def options(port: Callable[..., Any], function: str = SIGMOID, **settings: Any) -> Options:
    return Options(port, function, **{"framework": "torch", **settings})


# A port, its wrong twin, and what the first row says of it.
CASES = {
    "factory": (options(ports.factory), ports.factory_that_forgets, ""),
    "factory of modules": (options(ports.factory_of_modules), ports.factory_of_sums, ""),
    "factory by its flag": (
        options(ports.factory, factory=True),
        ports.factory_that_forgets,
        "",
    ),
    "labels from 1": (
        options(ports.one_based, SOFTMAX),
        ports.one_based_of_rows,
        "asked with targets as one-based",
    ),
    "labels from 1 by the flag": (
        options(ports.one_based, SOFTMAX, given={"targets": "one-based"}),
        ports.one_based_of_rows,
        "",
    ),
    "one-hot labels": (
        options(ports.one_hot, SOFTMAX),
        ports.one_hot_reversed,
        "asked with targets as one-hot",
    ),
    "integer labels": (
        options(ports.integers),
        ports.integers_swapped,
        "asked with targets as integer",
    ),
    "α as a pair": (options(ports.pair), ports.pair_swapped, "asked with alpha as pair"),
    "α and γ as tensors": (
        options(ports.tensors),
        ports.tensors_cut,
        "asked with alpha as array, gamma as array",
    ),
    "rows": (options(ports.rows), ports.rows_doubled, "asked with logits as NC"),
    "images": (
        options(ports.images, SOFTMAX),
        ports.images_flattened,
        "asked with logits as NCHW",
    ),
    "images of a batch": (
        options(ports.images, SOFTMAX, given={"logits": "NCHW"}),
        ports.images_of_one,
        "",
    ),
    "one number per image": (
        options(ports.by_image, SOFTMAX),
        ports.by_image_halved,
        "one number per image",
    ),
    "channels last": (
        options(ports.channels_last, SOFTMAX, framework="jax"),
        ports.channels_first,
        "asked with logits as NHWC",
    ),
    "a Python number": (options(ports.item), ports.item_of_sum, "values only: it returns numbers"),
    "an array of numpy": (
        options(ports.numpy_result),
        ports.numpy_halves,
        "values only: it returns numbers",
    ),
    "in a tuple": (options(ports.in_tuple, result="1"), ports.in_dict, ""),
    "in a dict": (options(ports.in_dict, result="loss"), None, ""),
    "an option without default": (options(ports.always_asks), None, ""),
    "arguments by place": (
        options(ports.by_place, renamed={"logits": "a", "targets": "b"}),
        ports.by_place_swapped,
        "",
    ),
}


def judged(asked: Options, layers: tuple[str, ...] = LAYERS) -> Report:
    port = build(asked)
    return check(port, port.plan, layers)


def failed(report: Report) -> list[str]:
    return [row.layer for row in report.rows if row.status == "FAIL"]


@pytest.mark.parametrize("name", CASES)
def test_a_right_port_passes(name: str) -> None:
    asked, _, note = CASES[name]
    report = judged(asked)
    assert failed(report) == []
    assert note in report.rows[0].note
    values = report.rows[1]
    assert values.status == "PASS"
    assert values.count > 100


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[1]])
def test_its_wrong_twin_does_not(name: str) -> None:
    asked, twin, _ = CASES[name]
    assert twin is not None
    wrong = replace(asked, port=twin)
    if name == "in a tuple":
        with pytest.raises(BadPortError, match="a dict of p, loss, without what --result 1"):
            judged(wrong)
        return
    assert failed(judged(wrong)) != []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (options(ports.in_tuple), "returns a tuple of 2: say which is the loss, --result 0"),
        (options(ports.in_dict), "returns a dict of p, loss: say which is the loss, --result p"),
        (options(ports.item, factory=True), "as a factory, raised TypeError"),
        (options(ports.item, given={"targets": "one-hot"}), "--give targets=one-hot: known are"),
        (options(ports.item, given={"where": "NC"}), "--give where: it has one form"),
        (options(ports.one_hot, SOFTMAX, given={"targets": "one-based"}), "targets as one-based"),
        (options(ports.by_place), "--factory if it returns the loss"),
    ],
)
def test_what_cannot_be_judged_names_the_flag(asked: Options, message: str) -> None:
    with pytest.raises(BadPortError, match=message.replace("(", r"\(")):
        build(asked)


def test_a_port_of_other_shapes_is_not_asked_for_these() -> None:
    report = judged(options(ports.images, SOFTMAX), ("shapes",))
    assert report.rows[1].status == "not offered"


def test_the_command_repeats_the_form(capsys: pytest.CaptureFixture[str]) -> None:
    module = f"{ports.__name__}:factory_that_forgets"
    words = ["--factory", "--give", "alpha=array", "--set", "gamma=1"]
    code = main(["check", module, "--as", SIGMOID, "--framework", "torch", *words])
    assert code == 1
    line = "--set gamma=1 --give alpha=array --factory --dtype float32 --at"
    assert line in " ".join(capsys.readouterr().out.split())


def test_labels_that_count_from_the_end_are_named() -> None:
    asked = options(ports.one_based_of_any, SOFTMAX)
    port = build(asked)
    assert "labels_from_one" in [d.name for d in diagnose(port, port.plan)]
    said = build(replace(asked, given={"targets": "one-based"}))
    assert "labels_from_one" not in [d.name for d in diagnose(said, said.plan)]
    assert failed(judged(asked, ("values",))) == ["values"]
    assert failed(judged(replace(asked, given={"targets": "one-based"}), ("values",))) == []
