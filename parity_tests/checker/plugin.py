"""A pytest plugin: all layers of a check in somebody else's test run, one test per layer and dtype.

    pytest --focal-port mypkg.losses:focal --focal-as sigmoid_focal_loss

or, for a port that is made in the test run, a fixture and a test in any file:

    @pytest.fixture(scope="session")
    def focal_port():
        return {"port": make_loss(), "function": "sigmoid_focal_loss", "framework": "torch"}

    def test_focal_loss(focal_verdict):
        focal_verdict.require()

A layer that is expected to fail stands in a file of the adopter's own, --focal-xfails, and is
strict.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from parity_tests.checker.layers.build import Options
    from parity_tests.checker.layers.judge import Row
    from parity_tests.ports.python import PythonPort

LISTS = {
    "--focal-dtype": "a dtype to check in; may be repeated (default: float32)",
    "--focal-map": "OURS=THEIRS, what the port calls an argument",
    "--focal-set": "NAME=VALUE, judge for this value alone",
    "--focal-pass": "THEIRS=VALUE, an extra argument of the port",
    "--focal-give": "OURS=FORM, the form in which the port takes an argument",
    "--focal-convention": "NAME=CHOICE, judge by this convention",
}
TEXTS = {
    "--focal-port": "MODULE:ATTRIBUTE of the port to check",
    "--focal-as": "what it is: sigmoid_focal_loss, softmax_focal_loss",
    "--focal-framework": "jax, torch, numpy, tensorflow or keras",
    "--focal-result": "which of several results is the loss, by name or place",
    "--focal-grade": "fail for what keeps the port from this grade alone (default: for any error)",
    "--focal-xfails": "a file of layers that are expected to fail",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("focal-parity")
    for name, text in TEXTS.items():
        group.addoption(name, help=text)
    for name, text in LISTS.items():
        group.addoption(name, action="append", default=[], help=text)


class LayerError(Exception):
    """A layer that does not pass; its text is the whole report."""


class Verdict:
    """The row of one layer in one dtype, and the grade that is asked for, or ""."""

    def __init__(self, row: "Row", dtype: str, diagnosis: list[str], grade: str) -> None:
        self.row = row
        self.dtype = dtype
        self.diagnosis = diagnosis
        self.grade = grade

    @property
    def fails(self) -> bool:
        from parity_tests.checker.layers.grades import reaches

        if not self.grade:
            return self.row.status == "FAIL"
        return bool(self.row.kept_from) and reaches(self.grade, self.row.kept_from)

    def require(self) -> None:
        """Raise if the layer fails; skip it if the port does not offer it."""
        from parity_tests.checker.report.report import one_line

        if not self.fails:
            if self.row.status == "not offered":
                # Nothing has been judged, which is not to be counted as passed.
                pytest.skip(self.row.note or "the port does not offer it")
            return
        lines = [f"{self.row.layer} in {self.dtype}: {one_line(self.row)}"]
        if self.row.point:
            point = ", ".join(f"{name} = {x}" for name, x in self.row.point.items())
            lines.append(f"at {point}")
        lines += [f"→ {message}" for message in self.diagnosis]
        raise LayerError("\n".join(lines))


class Judge:
    """Builds each port once per dtype, and judges one layer at a time."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.grade = _grade(config)
        self.built: dict[tuple[int, str], PythonPort] = {}

    def verdict(self, port: Any, dtype: str, layer: str) -> Verdict:
        from parity_tests.checker.diagnosis.diagnose import diagnose
        from parity_tests.checker.layers.build import build
        from parity_tests.checker.layers.check import layer as judge

        key = (id(port), dtype)
        if key not in self.built:
            self.built[key] = build(self._options(port), dtype)
        subject = self.built[key]
        row = judge(subject, subject.plan, layer)
        if row.status != "FAIL":
            return Verdict(row, dtype, [], self.grade)
        diagnoses = diagnose(subject, subject.plan, [layer])
        messages = [diagnosis.message for diagnosis in diagnoses]
        return Verdict(row, dtype, messages, self.grade)

    def _options(self, port: Any) -> "Options":
        """The options of the command line; a port that is a dict has its own beside them."""
        from parity_tests.checker.layers.build import Options, values

        settings = {
            "function": self.config.getoption("--focal-as"),
            "framework": self.config.getoption("--focal-framework"),
            "renamed": self._pairs("--focal-map"),
            "fixed": values(self._pairs("--focal-set")),
            "extra": values(self._pairs("--focal-pass")),
            "given": self._pairs("--focal-give"),
            "result": self.config.getoption("--focal-result") or "",
            "conventions": self._pairs("--focal-convention"),
        }
        settings |= port if isinstance(port, dict) else {"port": port}
        return Options(**settings)

    def _pairs(self, option: str) -> dict[str, str]:
        from parity_tests.checker.layers.build import pairs

        return pairs(list(self.config.getoption(option) or ()), option)


class LayerItem(pytest.Item):
    """The test of one layer of the port that --focal-port names."""

    def __init__(self, *, dtype: str, layer: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.dtype = dtype
        self.layer = layer

    def runtest(self) -> None:
        judge = self.config.stash[JUDGE]
        port = self.config.getoption("--focal-port")
        judge.verdict(port, self.dtype, self.layer).require()

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from parity_tests.ports.subject import BadPortError

        if isinstance(excinfo.value, LayerError | BadPortError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, None, str]:
        return self.path, None, self.name


JUDGE = pytest.StashKey[Judge]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[JUDGE] = Judge(config)


def _dtypes_and_layers(config: pytest.Config) -> Iterator[tuple[str, str]]:
    from parity_tests.checker.layers.check import LAYERS

    for dtype in config.getoption("--focal-dtype") or ["float32"]:
        for layer in LAYERS:
            yield dtype, layer


def _expected(config: pytest.Config) -> list[tuple[str, str]]:
    from parity_tests.checker.report.xfails import read
    from parity_tests.ports.subject import BadPortError

    path: str | None = config.getoption("--focal-xfails")
    try:
        return read(path) if path else []
    except BadPortError as error:
        raise pytest.UsageError(str(error)) from None


def _grade(config: pytest.Config) -> str:
    grade: str | None = config.getoption("--focal-grade")
    if grade is None:
        return ""
    from parity_tests.checker.layers.grades import GRADES

    if grade not in GRADES:
        known = ", ".join(GRADES)
        raise pytest.UsageError(f"--focal-grade has to be one of {known}, not {grade!r}")
    return grade


def _marks(config: pytest.Config, dtype: str, layer: str) -> list[pytest.MarkDecorator]:
    # The adopter's own file names these, each with its reason; strict, so that a layer that passes
    # must leave it.
    expected = _expected(config)
    if (dtype, layer) in expected or ("", layer) in expected:
        return [pytest.mark.xfail(strict=True, reason="listed in --focal-xfails")]
    return []


def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    if not config.getoption("--focal-port"):
        return
    for dtype, layer in _dtypes_and_layers(config):
        name = f"focal-parity[{dtype}-{layer.replace(' ', '-')}]"
        item = LayerItem.from_parent(session, name=name, dtype=dtype, layer=layer)
        for mark in _marks(config, dtype, layer):
            item.add_marker(mark)
        items.append(item)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "focal_verdict" not in metafunc.fixturenames:
        return
    cases = []
    for dtype, layer in _dtypes_and_layers(metafunc.config):
        name = f"{dtype}-{layer.replace(' ', '-')}"
        marks = _marks(metafunc.config, dtype, layer)
        cases.append(pytest.param((dtype, layer), id=name, marks=marks))
    metafunc.parametrize("focal_verdict", cases, indirect=True)


@pytest.fixture(scope="session")
def focal_port(pytestconfig: pytest.Config) -> Any:
    """The port to judge; define a fixture of this name to judge another than --focal-port."""
    return pytestconfig.getoption("--focal-port")


@pytest.fixture
def focal_verdict(request: pytest.FixtureRequest, focal_port: Any) -> Verdict:
    """The verdict on one layer in one dtype; a test that asks for it runs once for each."""
    dtype, layer = request.param
    judge = request.config.stash[JUDGE]
    return judge.verdict(focal_port, dtype, layer)
