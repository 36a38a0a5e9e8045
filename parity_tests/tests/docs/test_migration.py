"""What docs/migration.md says to write for each argument of a peer gives the numbers of that peer,
called here."""

import ast
import re
from inspect import signature

import numpy as np
import pytest

from parity_tests.pages import make_readme, migration, migration_table
from parity_tests.pages.page_code import blocks_of
from parity_tests.ports.python import locate

SECTIONS = migration_table.sections()
BLOCKS = [(title, code) for title, text in SECTIONS.items() for code, _ in blocks_of(text)]
PAGE_CODE = [code for _, code in BLOCKS]
# Whose arguments each section has to name.
SIGNATURES = {
    "optax": ["optax:sigmoid_focal_loss"],
    "torchvision": ["torchvision.ops:sigmoid_focal_loss"],
    "kornia": ["kornia.losses:binary_focal_loss_with_logits", "kornia.losses:focal_loss"],
    "Keras": ["keras.losses:BinaryFocalCrossentropy", "keras.losses:CategoricalFocalCrossentropy"],
    "MONAI": ["monai.losses:FocalLoss"],
    "mmdetection": ["mmdet.models.losses:FocalLoss", "mmdet.models.losses:FocalLoss.forward"],
    "segmentation-models-pytorch": ["segmentation_models_pytorch.losses:FocalLoss"],
}
TABLE = make_readme.tables(migration_table.PAGE.read_text())[
    "parity_tests.pages.migration_table --markdown"
]


def is_comparison(statement: ast.stmt) -> bool:
    return ast.unparse(statement).startswith("same(")


def comparisons(code: str) -> list[ast.stmt]:
    return [statement for statement in ast.parse(code).body if is_comparison(statement)]


def alone(code: str, number: int) -> ast.Module:
    """A block with one of its comparisons, and all that is no comparison."""
    module, kept = ast.parse(code), comparisons(code)[number]
    module.body = [x for x in module.body if not is_comparison(x) or ast.dump(x) == ast.dump(kept)]
    return module


def ours(module: ast.Module) -> ast.expr:
    [call] = [x.value for x in module.body if is_comparison(x) and isinstance(x, ast.Expr)]
    assert isinstance(call, ast.Call)
    return call.args[1]


def with_faults(code: str, number: int) -> list[str]:
    """One comparison without one of our named arguments, or with one of our numbers a tenth larger,
    in every way."""
    faults: list[str] = []
    for index, node in enumerate(ast.walk(ours(alone(code, number)))):
        for fault in _faults(node):
            module = alone(code, number)
            fault(list(ast.walk(ours(module)))[index])
            faults.append(ast.unparse(module))
    return faults


def _faults(node: ast.AST) -> list:
    if isinstance(node, ast.Call):
        return [lambda x, k=k: x.keywords.pop(k) for k in range(len(node.keywords))]
    if isinstance(node, ast.Constant) and isinstance(node.value, float):
        return [lambda x: setattr(x, "value", 1.1 * x.value + 0.01)]
    return []


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_every_mapping_gives_the_numbers_of_the_peer(title: str, code: str) -> None:
    assert len(migration_table.run(code)) == len(comparisons(code))


def rows_of(title: str) -> list[tuple[str, str]]:
    lines = re.findall(
        r"^\|(.*)\|\n",
        re.sub(r"^\|.*\|\n\| --- \| --- \|\n", "", SECTIONS[title], flags=re.M),
        re.M,
    )
    return [(left, right) for left, _, right in (line.partition(" | ") for line in lines)]


def named(cell: str) -> set[str]:
    """The arguments that a cell of a table gives."""
    return {name for code in re.findall(r"`(.*?)`", cell) for name in re.findall(r"(\w+)=", code)}


def given(code: str) -> list[tuple[str, str]]:
    """Both sides of each comparison of a block, with what stands in the variables that they use."""
    values: dict[str, str] = {}
    sides: list[tuple[str, str]] = []
    for statement in ast.parse(code).body:
        if isinstance(statement, ast.Assign):
            values |= {
                x.id: ast.unparse(statement)
                for x in ast.walk(statement.targets[0])
                if isinstance(x, ast.Name)
            }
        elif (
            is_comparison(statement)
            and isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
        ):
            theirs, here = (_with_values(side, values) for side in statement.value.args)
            sides.append((theirs, here))
    return sides


def _with_values(side: ast.expr, values: dict[str, str]) -> str:
    used = (values.get(x.id, "") for x in ast.walk(side) if isinstance(x, ast.Name))
    return "\n".join([ast.unparse(side), *used])


def mismatches(rows: list[tuple[str, str]], lines: list[tuple[str, str]]) -> list[str]:
    assert len(rows) == len(lines)
    return [
        f"{name} of {cells[side]} is not in {line[side]}"
        for cells, line in zip(rows, lines, strict=True)
        for side in (0, 1)
        for name in named(cells[side])
        if not re.search(rf"\b{name}=|'{name}':", line[side])
    ]


@pytest.mark.parametrize("title", SECTIONS)
def test_every_row_is_a_line_of_code(title: str) -> None:
    rows, lines = (
        rows_of(title),
        [line for code, _ in blocks_of(SECTIONS[title]) for line in given(code)],
    )
    assert not mismatches(rows, lines)
    assert mismatches([*rows[1:], rows[0]], lines), "rows in another order are those lines, too"


@pytest.mark.parametrize("title", SIGNATURES)
def test_no_argument_of_a_peer_is_left_out(title: str) -> None:
    migration_table.import_torchvision()
    migration.import_mmdet()
    for path in SIGNATURES[title]:
        for name in signature(locate(path)).parameters:
            assert re.search(rf"\b{name}\b", SECTIONS[title]) or name in (
                "self",
                "args",
                "kwargs",
            ), f"{path}: {name}"


@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_every_argument_of_ours_is_needed(title: str, code: str) -> None:
    faults = [
        fault for number in range(len(comparisons(code))) for fault in with_faults(code, number)
    ]
    assert faults
    for fault in faults:
        with pytest.raises((AssertionError, TypeError, ValueError)):
            migration_table.run(fault)


def test_the_sections_are_the_peers_and_the_table_is_theirs() -> None:
    """Differences may differ by a rounding between processors; each of them is within the limit
    everywhere."""
    assert list(SECTIONS) == list(migration_table.PEERS)
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in TABLE.strip().splitlines()[2:]
    ]
    assert [row[:3] for row in rows] == [
        list(migration_table.row(*section)[:3]) for section in SECTIONS.items()
    ]
    assert all(float(row[3]) <= migration.LIMIT for row in rows)


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
