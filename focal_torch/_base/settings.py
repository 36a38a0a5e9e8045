"""Losses as modules that carry their settings: PyTorch here, JAX in the file of the same name."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.distributed import ProcessGroup

from .arrays import is_sequence
from .collectives import GroupName
from .tracing import from_sequence


class Settings(nn.Module):
    """Tensors among the settings are buffers, which follow `.to()`, and so are lists and arrays of
    numpy. Parameters stay parameters.

    TorchScript compiles a model that holds a loss, and not the loss: it takes no keyword-only
    arguments with a default.
    """

    def __init__(self, **settings: object) -> None:
        super().__init__()
        self._names = tuple(settings)
        for name, x in settings.items():
            if is_sequence(x):
                x = self._buffer(name, x)
            # nn.Module registers parameters by itself.
            if isinstance(x, Tensor) and not isinstance(x, nn.Parameter):
                self.register_buffer(name, x)
            else:
                setattr(self, name, x)

    def _buffer(self, name: str, x: Any) -> Tensor:
        if any(isinstance(entry, nn.Parameter) for entry in x):
            raise TypeError(
                f"{type(self).__name__}({name}=...): expected an array of numbers, got several "
                "parameters. To learn them, make one of all: nn.Parameter(torch.tensor([...]))."
            )
        return from_sequence(x, None).to(torch.get_default_dtype())

    def settings(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self._names}

    def __getstate__(self) -> dict[str, Any]:
        # A process group is pickled by its name: it is one of the process, and has no state.
        state = self.__dict__.copy()
        for name, x in state.items():
            if isinstance(x, ProcessGroup):
                state[name] = GroupName(x.group_name)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        found = state.copy()
        for name, x in state.items():
            if isinstance(x, GroupName):
                found[name] = x.group()
        # The stubs of nn.Module leave the type out.
        super().__setstate__(found)  # pyright: ignore[reportUnknownMemberType]

    def extra_repr(self) -> str:
        # What repr() shows of a module.
        fields = [f"{name}={x!r}" for name, x in self.settings().items()]
        return ", ".join(fields)
