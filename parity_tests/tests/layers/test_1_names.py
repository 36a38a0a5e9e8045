"""Layer 1, names: a failure here means that the two packages have drifted apart, or that something
is undocumented."""

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest

import focal_jax
import focal_torch

JAX, TORCH = (Path(inspect.getfile(package)).parent for package in (focal_jax, focal_torch))
FILES = sorted(path.name for path in JAX.glob("*.py"))
FUNCTIONS = ("linear_softmax_focal_loss", "sigmoid_focal_loss", "softmax_focal_loss")
RECIPES = ("alpha_from_counts", "gamma_flsd", "posterior_from_focal", "prior_bias")
CLASSES = ("LinearSoftmaxFocalLoss", "SigmoidFocalLoss", "SoftmaxFocalLoss", "WeightedFocalLoss")
SETTINGS = dict(zip(CLASSES, FUNCTIONS, strict=False))


# What a framework asks for, and not the mathematics.
OF_THE_FRAMEWORK = (
    *(
        "chunks.py",
        "collectives.py",
        "engine.py",
        "layer.py",
        "meshes.py",
        "rows.py",
        "rules.py",
        "versions.py",
    ),
)
# JAX names devices by the axes of a mesh, PyTorch by a process group.
DEVICES = {"axis_name": "group", "class_axis_name": "class_group"}


def test_same_files() -> None:
    assert {path.name for path in TORCH.iterdir()} - {"__pycache__"} == {*FILES, "py.typed"}
    assert (JAX / "py.typed").exists()


def test_same_public_names() -> None:
    assert focal_jax.__all__ == focal_torch.__all__ == sorted((*FUNCTIONS, *RECIPES, *CLASSES))


def definitions(path: Path) -> list[str]:
    """All functions and classes of a file with the names of their arguments, in order."""
    found = []
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)]
            found.append(f"{node.name}({', '.join(DEVICES.get(name, name) for name in names)})")
        elif isinstance(node, ast.ClassDef):
            found.append(f"class {node.name}")
    return found


@pytest.mark.parametrize("name", [name for name in FILES if name not in OF_THE_FRAMEWORK])
def test_same_definitions_in_the_same_order(name: str) -> None:
    assert definitions(JAX / name) == definitions(TORCH / name)


@pytest.mark.parametrize("name", ["margin.py", "binary.py", "classes.py"])
def test_the_mathematics_is_word_for_word_the_same(name: str) -> None:
    """Docstrings and partial derivatives do not mention a framework, so they have to be equal."""
    ours, theirs = (_framework_free(folder / name) for folder in (JAX, TORCH))
    assert ours == theirs


def _framework_free(path: Path) -> list[str]:
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Lambda):
            found.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef | ast.Module):
            found.append(ast.get_docstring(node) or "")
    return found


def parameters(callable_: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(callable_).parameters.values()]


@pytest.mark.parametrize("name", [*FUNCTIONS, *RECIPES, *CLASSES])
def test_same_signatures_and_defaults(name: str) -> None:
    ours, theirs = parameters(getattr(focal_jax, name)), parameters(getattr(focal_torch, name))
    if name in ("softmax_focal_loss", "SoftmaxFocalLoss"):
        axis = inspect.Parameter.KEYWORD_ONLY
        assert ("axis", axis, -1) in ours, "the one intended difference in a default"
        theirs[theirs.index(("axis", axis, 1))] = ("axis", axis, -1)
    assert [(DEVICES.get(name, name), *rest) for name, *rest in ours] == theirs


@pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=["jax", "torch"])
@pytest.mark.parametrize(("name", "function"), SETTINGS.items())
def test_the_fields_of_a_class_are_the_settings_of_its_function(
    package: Any, name: str, function: str
) -> None:
    per_call = ("logits", "features", "kernel", "bias", "targets", "where", "weight")
    settings = [p for p in parameters(getattr(package, function)) if p[0] not in per_call]
    assert parameters(getattr(package, name)) == settings


@pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=["jax", "torch"])
@pytest.mark.parametrize("name", [*FUNCTIONS, *RECIPES, *CLASSES])
def test_everything_public_is_documented(package: Any, name: str) -> None:
    text = inspect.getdoc(getattr(package, name)) or ""
    called = name in (*FUNCTIONS, *RECIPES)
    sections = (
        ["Example:"]
        + ["Args:", "Returns:", "Raises:", "References:"] * called
        + ["equation"] * (name in FUNCTIONS)
    )
    assert [section for section in sections if section not in text] == []
    per_call = parameters(getattr(package, name)) if called else []
    assert [p[0] for p in per_call if f"\n    {p[0]}: " not in text] == []


@pytest.mark.parametrize(
    "path",
    [*JAX.glob("*.py"), *TORCH.glob("*.py")],
    ids=lambda path: f"{path.parent.name}-{path.name}",
)
def test_files_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 250
