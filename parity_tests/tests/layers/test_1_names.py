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
FUNCTIONS = (
    *("asymmetric_loss", "heatmap_focal_loss", "linear_softmax_focal_loss", "sigmoid_focal_loss"),
    *("softmax_focal_loss", "varifocal_loss"),
)
RECIPES = (
    *("alpha_from_counts", "focal", "gamma_flsd", "modulator", "posterior_from_focal"),
    *("prior_bias", "softmax_margin", "two_hot"),
)
CLASSES = (
    *("AsymmetricLoss", "HeatmapFocalLoss", "LinearSoftmaxFocalLoss", "SigmoidFocalLoss"),
    *("SoftmaxFocalLoss", "VarifocalLoss", "WeightedFocalLoss"),
)
# Cited by the section that defines it.
BY_SECTION = ("asymmetric_loss",)
SETTINGS = dict(zip(CLASSES, FUNCTIONS, strict=False))


def files(package: Path) -> set[str]:
    return {path.relative_to(package).as_posix() for path in package.rglob("*.py")}


# PyTorch's are DTensors, loops over pieces of a tensor and the threads that take part in them, a
# rule for eager calls, and what its rules and operators take.
TORCH_ALONE = {
    "_base/dtensors.py",
    "_base/openmp.py",
    "_base/pieces.py",
    "_core/eager.py",
    "_core/linear_inputs.py",
}
# JAX compiles a whole loss, of which PyTorch runs one operation after the other.
JAX_ALONE_FILES = {"_core/programs.py"}
# What a framework asks for, and not the mathematics: here only what both have is alike.
OF_THE_FRAMEWORK = {
    *("_base/autodiff.py", "_base/collectives.py", "_base/meshes.py", "_base/tracing.py"),
    *("_base/versions.py", "_core/linear_chunk.py", "_core/linear_scan.py", "_core/margin.py"),
}
TWINS = sorted(files(JAX) - OF_THE_FRAMEWORK - JAX_ALONE_FILES)
MATHEMATICS = (
    *("asymmetric.py", "distance.py", "focal.py", "heatmap.py", "interpolated.py"),
    *("interpolated_pt.py", "quality.py", "shifted.py", "sigmoid.py", "softmax.py"),
    *("varifocal.py", "z_loss.py"),
)
# JAX names devices by the axes of a mesh, PyTorch by a process group; a module is called by another
# name; and JAX hashes its settings, where PyTorch makes buffers of them, and pickles a group by its
# name. torch.fx records functions, so that each module calls one.
OTHER_WORDS = {"axis_name": "group", "class_axis_name": "class_group", "__call__": "forward"}
# JAX narrows integers, too, and takes long to trace its own jnp.where and jnp.clip.
JAX_ALONE = {"Arguments._without_64_bits", "Settings._key", "Settings.__eq__", "Settings.__hash__"}
JAX_ALONE |= {"Elements.reduced_by", "clamp", "select"}
PYTORCH_ALONE = {
    "Settings._buffer",
    "Settings.settings",
    "Settings.extra_repr",
    "_weighted_focal_loss",
}
PYTORCH_ALONE |= {"Elements.held", "Elements.reduced"}
PYTORCH_ALONE |= {"Settings.__getstate__", "Settings.__setstate__"}


def test_same_files() -> None:
    assert files(TORCH) - TORCH_ALONE == files(JAX) - JAX_ALONE_FILES
    assert files(TORCH) >= TORCH_ALONE
    assert files(JAX) >= JAX_ALONE_FILES
    assert (JAX / "py.typed").exists()
    assert (TORCH / "py.typed").exists()


def test_same_public_names() -> None:
    assert focal_jax.__all__ == focal_torch.__all__ == sorted((*FUNCTIONS, *RECIPES, *CLASSES))


def definitions(path: Path) -> dict[str, list[str]]:
    """The arguments of all functions, classes and methods of a file, in order."""
    return defined_in(ast.parse(path.read_text()).body, "")


def defined_in(body: list[ast.stmt], prefix: str) -> dict[str, list[str]]:
    arguments: dict[str, list[str]] = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            names = [arg.arg for arg in (*node.args.args, *node.args.kwonlyargs)]
            name = prefix + OTHER_WORDS.get(node.name, node.name)
            arguments[name] = [OTHER_WORDS.get(arg, arg) for arg in names]
        elif isinstance(node, ast.ClassDef):
            arguments[prefix + node.name] = []
            arguments |= defined_in(node.body, f"{prefix}{node.name}.")
    return arguments


@pytest.mark.parametrize("name", TWINS)
def test_same_definitions_in_the_same_order(name: str) -> None:
    """Also inside of classes. The constructors of nn.Module are dataclasses in JAX."""
    ours, theirs = definitions(JAX / name), definitions(TORCH / name)
    constructors = {x for x in theirs if x.endswith(".__init__")} - set(ours)
    expected = [(x, args) for x, args in ours.items() if x not in JAX_ALONE]
    left_out = PYTORCH_ALONE | constructors
    assert [(x, args) for x, args in theirs.items() if x not in left_out] == expected


@pytest.mark.parametrize("name", sorted(OF_THE_FRAMEWORK))
def test_what_both_define_is_in_the_same_order(name: str) -> None:
    ours, theirs = definitions(JAX / name), definitions(TORCH / name)
    in_both = [x for x in ours if x in theirs]
    assert in_both == [x for x in theirs if x in ours]


@pytest.mark.parametrize("name", MATHEMATICS)
def test_the_mathematics_is_word_for_word_the_same(name: str) -> None:
    """Docstrings and partial derivatives do not mention a framework, so they have to be equal."""
    ours, theirs = (framework_free(package / "_core" / name) for package in (JAX, TORCH))
    assert len(ours) > 4
    assert ours == theirs


def framework_free(path: Path) -> list[str]:
    """The docstrings of a file, and the bodies of its partial derivatives."""
    parts: list[str] = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.Module):
            parts.append(ast.get_docstring(node) or "")
        if isinstance(node, ast.FunctionDef) and is_partial(node) and node.name != FRAMEWORK_BOUND:
            parts.append("\n".join(ast.unparse(line) for line in node.body))
    return parts


# The one partial derivative that selects and adds up, which frameworks spell in their own ways.
FRAMEWORK_BOUND = "weighted_sum_focal_z"


def is_partial(node: ast.FunctionDef) -> bool:
    """Whether a function is decorated with `@something.partial(...)`."""
    return any(".partial(" in ast.unparse(decorator) for decorator in node.decorator_list)


def parameters(callable_: Any) -> list[tuple[str, Any, Any]]:
    return [(p.name, p.kind, p.default) for p in inspect.signature(callable_).parameters.values()]


@pytest.mark.parametrize("name", [*FUNCTIONS, *RECIPES, *CLASSES])
def test_same_signatures_and_defaults(name: str) -> None:
    ours, theirs = parameters(getattr(focal_jax, name)), parameters(getattr(focal_torch, name))
    if name in ("softmax_focal_loss", "SoftmaxFocalLoss", "softmax_margin"):
        axis = inspect.Parameter.KEYWORD_ONLY
        assert ("axis", axis, -1) in ours, "the one intended difference in a default"
        theirs[theirs.index(("axis", axis, 1))] = ("axis", axis, -1)
    assert [(OTHER_WORDS.get(name, name), *rest) for name, *rest in ours] == theirs


@pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=["jax", "torch"])
@pytest.mark.parametrize(("name", "function"), SETTINGS.items())
def test_the_fields_of_a_class_are_the_settings_of_its_function(
    package: Any, name: str, function: str
) -> None:
    per_call = ("logits", "features", "kernel", "bias", "targets", "where", "weight")
    settings = {p[0]: p for p in parameters(getattr(package, function)) if p[0] not in per_call}
    # What a loss of a framework is a module of has the mean as its default.
    settings["reduction"] = ("reduction", inspect.Parameter.KEYWORD_ONLY, "mean")
    assert parameters(getattr(package, name)) == list(settings.values())


@pytest.mark.parametrize("package", [focal_jax, focal_torch], ids=["jax", "torch"])
@pytest.mark.parametrize("name", [*FUNCTIONS, *RECIPES, *CLASSES])
def test_everything_public_is_documented(package: Any, name: str) -> None:
    text = inspect.getdoc(getattr(package, name)) or ""
    called = name in (*FUNCTIONS, *RECIPES)
    sections = (
        ["Examples:"]
        + ["Args:", "Returns:", "Raises:", "References:"] * called
        + ["equation"] * (name in FUNCTIONS and name not in BY_SECTION)
    )
    assert [section for section in sections if section not in text] == []
    per_call = parameters(getattr(package, name)) if called else []
    assert [p[0] for p in per_call if f"\n    {p[0]}: " not in text] == []


@pytest.mark.parametrize("package", [JAX, TORCH], ids=["jax", "torch"])
def test_files_are_short(package: Path) -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in package.rglob("*.py")}
    long = {name for name, length in lengths.items() if length > 250}
    # The loop over chunks of PyTorch, with its rules and operators; and what is public, of which
    # most lines are docstrings and lists of settings.
    assert long <= {"linear_scan.py", "losses.py", "modules.py"}
    assert max(lengths.values()) <= 300
