"""What docs/migration.md says to write for each argument of a peer gives the numbers of that peer,
called here."""

import ast
import itertools
import re
from inspect import signature

import numpy as np
import pytest

from parity_tests.pages import make_readme, migration, migration_table
from parity_tests.pages.page_code import blocks_of
from parity_tests.ports.locate import locate

SECTIONS = migration_table.sections()
BLOCKS = [(title, code) for title, text in SECTIONS.items() for code, _ in blocks_of(text)]
PAGE_CODE = [code for _, code in BLOCKS]
# Whose arguments each section has to name.
SIGNATURES = {
    "optax": [
        "optax:sigmoid_focal_loss",
        "optax:sigmoid_binary_cross_entropy",
        "optax:softmax_cross_entropy",
        "optax:softmax_cross_entropy_with_integer_labels",
    ],
    "PyTorch": ["torch.nn:CrossEntropyLoss", "torch.nn:BCEWithLogitsLoss"],
    "torchvision": ["torchvision.ops:sigmoid_focal_loss"],
    "kornia": ["kornia.losses:binary_focal_loss_with_logits", "kornia.losses:focal_loss"],
    "Keras": ["keras.losses:BinaryFocalCrossentropy", "keras.losses:CategoricalFocalCrossentropy"],
    "MONAI": ["monai.losses:FocalLoss"],
    "mmdetection": ["mmdet.models.losses:FocalLoss", "mmdet.models.losses:FocalLoss.forward"],
    "segmentation-models-pytorch": ["segmentation_models_pytorch.losses:FocalLoss"],
}
TABLES = make_readme.tables(migration_table.PAGE.read_text())
TABLE = TABLES["parity_tests.pages.migration_table --markdown"]
# One side of a comparison, with what stands in the variables that it uses.
Sides = tuple[str, str]


def comparison(statement: ast.stmt) -> ast.Call | None:
    """The call same(theirs, ours), where the statement is one."""
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        call = statement.value
        if ast.unparse(call.func) == "same":
            return call
    return None


def comparisons(module: ast.Module) -> list[ast.Call]:
    calls = [comparison(statement) for statement in module.body]
    return [call for call in calls if call]


def alone(code: str, number: int) -> tuple[ast.Module, ast.expr]:
    """A block with one of its comparisons and all that is no comparison, and our side there."""
    module = ast.parse(code)
    kept = comparisons(module)[number]
    module.body = [x for x in module.body if comparison(x) in (None, kept)]
    return module, kept.args[1]


def with_faults(code: str, number: int) -> list[str]:
    """One comparison without one of our named arguments, or with one of our numbers a tenth larger,
    in every way."""
    faults: list[str] = []
    _, ours = alone(code, number)
    for index, node in enumerate(ast.walk(ours)):
        if isinstance(node, ast.Call):
            for keyword in range(len(node.keywords)):
                module, call = copy_of(code, number, index)
                assert isinstance(call, ast.Call)
                del call.keywords[keyword]
                faults.append(ast.unparse(module))
        elif isinstance(node, ast.Constant) and isinstance(node.value, float):
            module, constant = copy_of(code, number, index)
            assert isinstance(constant, ast.Constant)
            constant.value = 1.1 * node.value + 0.01
            faults.append(ast.unparse(module))
    return faults


def copy_of(code: str, number: int, index: int) -> tuple[ast.Module, ast.AST]:
    """A block with one of its comparisons, and one node of our side of it."""
    module, ours = alone(code, number)
    nodes = list(ast.walk(ours))
    return module, nodes[index]


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_every_mapping_gives_the_numbers_of_the_peer(title: str, code: str) -> None:
    count = len(comparisons(ast.parse(code)))
    assert len(migration_table.run(code)) == count


def rows_of(title: str) -> list[Sides]:
    """What is theirs and what is ours, in the tables of a section."""
    heads = r"^\|.*\|\n\| --- \| --- \|\n"
    tables = re.sub(heads, "", SECTIONS[title], flags=re.M)
    return re.findall(r"^\|(.*?) \| (.*)\|\n", tables, re.M)


def named(cell: str) -> set[str]:
    """The arguments that a cell of a table gives."""
    code = " ".join(re.findall(r"`(.*?)`", cell))
    return set(re.findall(r"(\w+)=", code))


def both_sides(code: str) -> list[Sides]:
    """Both sides of each comparison of a block."""
    values: dict[str, str] = {}
    sides: list[Sides] = []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Assign):
            values |= dict.fromkeys(names_in(statement.targets[0]), ast.unparse(statement))
        elif call := comparison(statement):
            theirs, ours = call.args
            sides.append((with_values(theirs, values), with_values(ours, values)))
    return sides


def names_in(node: ast.AST) -> list[str]:
    return [inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)]


def with_values(side: ast.expr, values: dict[str, str]) -> str:
    used = [values.get(name, "") for name in names_in(side)]
    return "\n".join([ast.unparse(side), *used])


def mismatches(rows: list[Sides], lines: list[Sides]) -> list[str]:
    missing: list[str] = []
    cells = itertools.chain.from_iterable(rows)
    sides = itertools.chain.from_iterable(lines)
    for cell, side in zip(cells, sides, strict=True):
        for name in named(cell):
            if not re.search(rf"\b{name}=|'{name}':", side):
                missing.append(f"{name} of {cell} is not in {side}")
    return missing


@pytest.mark.parametrize("title", SECTIONS)
def test_every_row_is_a_line_of_code(title: str) -> None:
    rows = rows_of(title)
    lines: list[Sides] = []
    for code, _ in blocks_of(SECTIONS[title]):
        lines += both_sides(code)
    assert not mismatches(rows, lines)
    assert mismatches([*rows[1:], rows[0]], lines), "rows in another order are those lines, too"


@pytest.mark.parametrize("title", SIGNATURES)
def test_no_argument_of_a_peer_is_left_out(title: str) -> None:
    migration_table.import_torchvision()
    migration.import_mmdet()
    for path in SIGNATURES[title]:
        names = signature(locate(path)).parameters.keys() - {"self", "args", "kwargs"}
        for name in names:
            assert re.search(rf"\b{name}\b", SECTIONS[title]), f"{path}: {name}"


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_every_argument_of_ours_is_needed(title: str, code: str) -> None:
    faults: list[str] = []
    for number in range(len(comparisons(ast.parse(code)))):
        faults += with_faults(code, number)
    assert faults
    for fault in faults:
        with pytest.raises((AssertionError, TypeError, ValueError)):
            migration_table.run(fault)


def test_the_sections_are_the_peers_and_the_table_is_theirs() -> None:
    """Differences may differ by a rounding between processors; each of them is within the limit
    everywhere."""
    assert list(SECTIONS) == list(migration_table.PEERS)
    _, _, *lines = TABLE.strip().splitlines()
    for line, section in zip(lines, SECTIONS.items(), strict=True):
        *cells, difference = [cell.strip() for cell in line.strip("|").split("|")]
        assert cells == list(migration_table.row(*section)[:3])
        assert float(difference) <= migration.LIMIT


@pytest.mark.parametrize(
    "theirs",
    [
        [1.0, 2.0],
        [[1.0, 2.0, 3.0]],
        [1.0, 2.0, 3.001],
        [1.0, 2.0, np.nan],
        [1.0, 0.0, 3.0],
        [np.inf, 2, 3],
    ],
)
def test_what_is_not_the_same_is_refused(theirs: list) -> None:
    with pytest.raises(AssertionError):
        migration.same(np.array(theirs), np.array([1.0, 2.0, 3.0]))
