"""The contract is one for everybody: the packages, the suites, the vectors and the explanations all
follow it."""

import inspect
from types import ModuleType

import pytest

import focal_jax
import focal_torch
from parity_tests.checker.layers.check import LAYERS
from parity_tests.checker.layers.family.identities import IDENTITIES as FAMILY_IDENTITIES
from parity_tests.checker.layers.family.special import SPECIAL as FAMILY_SPECIAL
from parity_tests.checker.layers.identities import IDENTITIES
from parity_tests.checker.layers.shapes import ERRORS
from parity_tests.checker.layers.special import SPECIAL
from parity_tests.contract import golden, make_vectors, suite
from parity_tests.contract.family_records import EVERY
from parity_tests.contract.records import ALIASES, RECORDS, REQUIRED, VERSION, Record
from parity_tests.pages import parity_table
from parity_tests.truth.readings import ALPHA, SOFT

# Each framework has its own names for devices; a port need not have any.
DEVICES = {"axis_name", "class_axis_name", "group", "class_group"}

each_record = pytest.mark.parametrize("record", EVERY.values(), ids=lambda record: record.name)


@each_record
@pytest.mark.parametrize("package", [focal_jax, focal_torch])
def test_the_packages_have_these_arguments(record: Record, package: ModuleType) -> None:
    loss = getattr(package, record.name)
    defaults = {name: x.default for name, x in inspect.signature(loss).parameters.items()}
    expected = {argument.name: argument.default for argument in record.arguments}
    for name, default in expected.items():
        if default is REQUIRED:
            expected[name] = inspect.Parameter.empty
    # Each framework has its own place for the classes.
    if "axis" in expected:
        expected["axis"] = {focal_jax: -1, focal_torch: 1}[package]
    devices = DEVICES & defaults.keys()
    assert defaults == expected | dict.fromkeys(devices)


@each_record
def test_every_check_that_a_record_names_exists(record: Record) -> None:
    identities = FAMILY_IDENTITIES if record.family else IDENTITIES
    assert set(record.identities) <= identities.keys()
    assert set(record.special) <= SPECIAL.keys() | FAMILY_SPECIAL.keys()
    assert set(record.errors) <= ERRORS.keys()
    assert record.formulas
    assert record.source


def test_no_check_is_without_a_record() -> None:
    records = EVERY.values()
    identities = IDENTITIES.keys() | FAMILY_IDENTITIES.keys()
    assert identities == {name for record in records for name in record.identities}
    special = SPECIAL.keys() | FAMILY_SPECIAL.keys()
    assert special == {name for record in records for name in record.special}
    assert ERRORS.keys() == {name for record in records for name in record.errors}


def test_every_declared_convention_has_a_reading() -> None:
    conventions = RECORDS["sigmoid_focal_loss"].conventions
    assert set(conventions["alpha"].choices) <= ALPHA.keys()
    assert set(conventions["soft_targets"].choices) - {"hard"} <= SOFT.keys()


def test_aliases_are_classes_of_both_packages() -> None:
    for name, (function, conventions) in ALIASES.items():
        assert hasattr(focal_jax, name)
        assert hasattr(focal_torch, name)
        known = RECORDS[function].conventions
        for convention, choice in conventions.items():
            assert choice in known[convention].choices


def test_a_record_makes_tests_vectors_and_rows_everywhere() -> None:
    """Each grid of each record, in both dtypes, is in the suite; each label is a row; each dtype a
    file."""
    for record in EVERY.values():
        for label, grid in record.grids.items():
            assert label in parity_table.ROWS
            for dtype in suite.FULL:
                names = {f"{label} {dtype} {name}" for name in grid(dtype)}
                assert names <= suite.PROBLEMS.keys()
        for dtype in record.dtypes:
            file = f"{record.name}_{dtype}.jsonl"
            assert file in make_vectors.problems()
            assert (golden.FOLDER / file).exists()


def test_the_vectors_are_those_of_this_contract() -> None:
    manifest = (golden.FOLDER / "MANIFEST.json").read_text()
    assert f'"contract": "{VERSION}"' in manifest


def test_layers_are_in_the_order_of_reading() -> None:
    first, *_, last = LAYERS
    assert (first, last) == ("values", "dtypes")
