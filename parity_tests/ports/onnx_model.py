"""An ONNX file as a port: a function of numpy arrays, by onnxruntime, with names from the file."""

import inspect
import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from .contain import contained
from .subject import BadPortError, PortError

SUFFIX = ".onnx"
TYPES: dict[str, Any] = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(float16)": np.float16,
    "tensor(bfloat16)": ml_dtypes.bfloat16,
    "tensor(int64)": np.int64,
    "tensor(int32)": np.int32,
    "tensor(bool)": np.bool_,
}


class OnnxModel:
    """Called with its inputs by name. `outputs` are those that it returns: one as an array, several
    as a dict."""

    def __init__(self, session: Any, outputs: list[str]) -> None:
        self.session = session
        self.outputs = outputs
        # Names of inputs may hold characters that no name in Python has.
        self.inputs = {re.sub(r"\W", "_", x.name): x for x in session.get_inputs()}
        kind = inspect.Parameter.KEYWORD_ONLY
        parameters = [inspect.Parameter(name, kind) for name in self.inputs]
        self.__signature__ = inspect.Signature(parameters)

    @classmethod
    def load(cls, path: str) -> "OnnxModel":
        if not Path(path).is_file():
            raise BadPortError(f"there is no file {path}")
        try:
            runtime = import_module("onnxruntime")
        except ImportError:
            raise BadPortError(
                "an ONNX file is run by onnxruntime, which is not installed: "
                "pip install onnxruntime"
            ) from None
        try:
            with contained():
                session = runtime.InferenceSession(path, providers=["CPUExecutionProvider"])
        except PortError as error:
            raise BadPortError(f"cannot load {path}: {error}; export it again") from None
        return cls(session, [x.name for x in session.get_outputs()])

    def split(self, gradient: str) -> tuple["OnnxModel", "OnnxModel"]:
        """Without an output and with that alone, which is the gradient."""
        others = [name for name in self.outputs if name != gradient]
        if len(others) == len(self.outputs):
            have = ", ".join(self.outputs)
            raise BadPortError(
                f"the model has no output {gradient!r} for --gradient; it has {have}"
            )
        return OnnxModel(self.session, others), OnnxModel(self.session, [gradient])

    def __call__(self, **arguments: Any) -> Any:
        given = self._inputs(arguments)
        results = self.session.run(self.outputs, given)
        if len(results) == 1:
            return results[0]
        return dict(zip(self.outputs, results, strict=True))

    def _inputs(self, arguments: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """What the model takes, in the type of each input where nothing is lost by that."""
        given: dict[str, np.ndarray] = {}
        for name, x in arguments.items():
            # What is left out, such as α = None, the model may refuse.
            if x is None:
                continue
            wanted = self.inputs[name]
            dtype = TYPES.get(wanted.type, np.float32)
            if np.isscalar(x):
                given[wanted.name] = np.full((1,) * len(wanted.shape), x, dtype)
            else:
                given[wanted.name] = _labels(np.asarray(x), dtype)
        return given


def _labels(x: np.ndarray, dtype: Any) -> np.ndarray:
    """Labels in the type of an input, and anything else as it is."""
    is_whole = x.dtype.kind in "biu"
    if not is_whole and np.dtype(dtype).kind in "biu":
        is_whole = np.array_equal(x, np.round(x))
    return x.astype(dtype) if is_whole else x
