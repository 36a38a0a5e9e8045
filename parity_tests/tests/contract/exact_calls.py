"""Which calls the code that makes inputs may have."""

import ast
import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib import import_module

from .exact_files import ALLOWED

LIBRARIES = (
    *("numpy", "mpmath", "math", "random", "scipy"),
    *("jax", "flax", "torch", "sklearn", "skimage"),
)
# Shapes and order, comparisons, and what IEEE 754 rounds to the nearest number.
SAFE = {
    "numpy": "abs all append arange argsort array asarray ascontiguousarray atleast_1d "
    "column_stack concatenate diff errstate eye finfo flatnonzero float32 float64 floor full inf "
    "int8 int64 isfinite isin isnan ldexp max maximum meshgrid minimum minimum.accumulate moveaxis "
    "nan ndarray ndenumerate ones repeat reshape resize sort sqrt stack take tile uint16 uint32 "
    "uint64 union1d unique where zeros zeros_like",
    "math": "ceil frexp inf isclose isfinite isnan ldexp nan prod sqrt",
    "mpmath": "__version__ mpf nstr workdps",
    # Shuffled by numpy's RandomState, whose numbers are never to change.
    "sklearn": "datasets.load_digits model_selection.StratifiedShuffleSplit",
    "skimage": "data morphology.skeletonize",
}
# Where functions are rounded once, from fifty digits, and integers are added.
ONCE = {
    *("mpmath.exp", "mpmath.fsum", "mpmath.log", "mpmath.power"),
    *("numpy.random.PCG64", "numpy.matmul", ".sum"),
}
EXACT = "parity_tests/contract/exact.py"
# Sums whose order, and functions whose last bit, are those of a processor.
SUMS = {"cumprod", "cumsum", "dot", "matmul", "mean", "prod", "std", "sum", "trace", "var"}
UNSAFE_METHODS = SUMS | {"exp", "log"}

# Steps of arange down to this part of 1 are exact, and so are their multiples.
FINEST = 1024

# Who draws random numbers, or spaces a grid unevenly.
DENIED_NAMES = {
    "numpy": "random linspace geomspace logspace",
    "jax.numpy": "linspace geomspace logspace",
    "jax": "random",
    "flax": "nnx.Rngs",
    "torch": "linspace logspace rand randn randint randperm normal Generator manual_seed",
}
DENIED_METHODS = {".normal_", ".uniform_", ".exponential_"}


Place = ast.FunctionDef | ast.Assign | ast.AnnAssign | ast.AugAssign | ast.Module


def full_names(groups: dict[str, str]) -> set[str]:
    """numpy.abs and so on, of names by their library."""
    return {f"{library}.{name}" for library, names in groups.items() for name in names.split()}


DENIED = full_names(DENIED_NAMES) | {"random"}


def extensions() -> list[str]:
    """What numpy uses of this processor beyond what it needs, the highest last."""
    for name in ("numpy._core._multiarray_umath", "numpy.core._multiarray_umath"):
        try:
            umath = import_module(name)
        except ModuleNotFoundError:
            continue
        return [name for name in umath.__cpu_dispatch__ if umath.__cpu_features__.get(name)]
    raise ImportError("numpy has neither _core nor core: say in exact_calls where its features are")


def not_allowed(source: str, path: str) -> list[str]:
    """What is not on the list, in a file or in what makes inputs there."""
    tree = ast.parse(source)
    names = imported(tree)
    safe = full_names(SAFE)
    if path == EXACT:
        safe |= ONCE
    faults: list[str] = []
    for place in places(tree, path):
        faults += _faults(place, names, safe)
    return faults


def places(tree: ast.Module, path: str) -> Sequence[Place]:
    """The functions and assignments of a file that make inputs, or all of it."""
    wanted = set(ALLOWED[path].split())
    known: set[str] = set()
    makers: list[Place] = []
    for node in tree.body:
        bound = _bound(node) & wanted
        known |= bound
        if bound and isinstance(node, Place):
            makers.append(node)
    if known != wanted:
        raise ValueError(
            f"exact_calls: ALLOWED[{path!r}] expected names of functions and of module-level "
            f"assignments of that file, got {sorted(wanted - known)}: correct or remove them."
        )
    return makers or [tree]


def _bound(node: ast.stmt) -> set[str]:
    """The names that a function or an assignment of a module gives."""
    if isinstance(node, ast.FunctionDef):
        return {node.name}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    inner = itertools.chain.from_iterable(ast.walk(target) for target in targets)
    return {each.id for each in inner if isinstance(each, ast.Name)}


def _faults(tree: ast.AST, names: dict[str, str], safe: set[str]) -> Iterator[str]:
    for node, name in _outermost(tree, names):
        if name.split(".")[0] in LIBRARIES and name not in safe:
            yield f"line {node.lineno}: {name}"
    for node in ast.walk(tree):
        method = _method(node, names)
        if isinstance(node, ast.Name) and node.id == "pow":
            yield f"line {node.lineno}: pow"
        elif isinstance(node, ast.BinOp) and not _is_exact(node):
            yield f"line {node.lineno}: {ast.unparse(node)}"
        elif isinstance(node, ast.Call):
            if method in UNSAFE_METHODS and f".{method}" not in safe:
                yield f"line {node.lineno}: .{method}"
            elif _is_uneven(node, names):
                yield f"line {node.lineno}: a step of arange that is no fraction of a power of two"


def _method(node: ast.AST, names: dict[str, str]) -> str:
    """The name of the method that is called, unless it is a function of a library."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return ""
    is_of_a_library = dotted(node.func, names)
    return "" if is_of_a_library else node.func.attr


def _is_exact(node: ast.BinOp) -> bool:
    """Powers are those of whole numbers, which are written out, and products have no order."""
    if isinstance(node.op, ast.Pow):
        return _is_whole(node.left) and _is_whole(node.right)
    return not isinstance(node.op, ast.MatMult)


def _is_whole(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int)


def _is_uneven(node: ast.Call, names: dict[str, str]) -> bool:
    if dotted(node.func, names) != "numpy.arange" or len(node.args) < 3:
        return False
    step = node.args[2]
    if not isinstance(step, ast.Constant):
        return False
    value = Fraction(ast.literal_eval(step))
    return value.denominator > FINEST


def denied(source: str) -> set[str]:
    """Random numbers and uneven grids of a file, and of the programs that it has as text."""
    tree = ast.parse(source)
    names = imported(tree)
    used = {name for _, name in _outermost(tree, names)} | set(names.values())
    calls: set[str] = set()
    for name in used:
        calls |= {bad for bad in DENIED if f"{name}.".startswith(f"{bad}.")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and f".{node.attr}" in DENIED_METHODS:
            calls.add(f".{node.attr}")
        if isinstance(node, ast.Constant) and "\nimport " in str(node.value):
            calls |= _denied_text(str(node.value))
    return calls


def _denied_text(text: str) -> set[str]:
    try:
        return denied(text)
    except SyntaxError:
        # Words of which a line begins with import are no program.
        return set()


def imported(tree: ast.AST) -> dict[str, str]:
    """Name in the file -> what it stands for, of absolute imports."""
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                top = each.name.split(".")[0]
                if each.asname:
                    names[each.asname] = each.name
                else:
                    names[top] = top
        elif isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                names[each.asname or each.name] = f"{node.module}.{each.name}"
    return names


def dotted(node: ast.AST, names: dict[str, str]) -> str:
    """numpy.random.default_rng for np.random.default_rng; nothing for what is no imported name."""
    if isinstance(node, ast.Name):
        return names.get(node.id, "")
    if isinstance(node, ast.Attribute):
        before = dotted(node.value, names)
        return f"{before}.{node.attr}" if before else ""
    return ""


Reference = ast.Name | ast.Attribute


def _outermost(tree: ast.AST, names: dict[str, str]) -> Iterator[tuple[Reference, str]]:
    """np.random.default_rng, and neither np.random nor np in it."""
    nodes = list(ast.walk(tree))
    inner = {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
    for node in nodes:
        name = dotted(node, names)
        if isinstance(node, Reference) and id(node) not in inner and name:
            yield node, name
