"""What the audit knows of a public implementation: what to call, and what it says it does.

A record is data alone, so that it can be given to another process; what it names is imported there.
Where an implementation cannot be called as `logits, targets -> one loss per element`, the record
names a few lines of `wrappers.py` that call it, and `public` says what they call.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WRAPPERS = "parity_tests.checker.audit.wrappers"
FORMULAS = "parity_tests.checker.audit.formulas"
SOFTMAX = "softmax_focal_loss"
LINEAR = "linear_softmax_focal_loss"


@dataclass(frozen=True)
class Adapter:
    """`names`, `fixed`, `extra` and `conventions` are what `focal-parity check` takes as --map,
    --set, --pass and --convention."""

    label: str
    path: str
    # The distribution whose version is shown; none for a formula that is read here.
    distribution: str = ""
    public: str = ""
    framework: str = "torch"
    function: str = "sigmoid_focal_loss"
    names: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)
    conventions: Mapping[str, str] = field(default_factory=dict)
    torchvision: bool = False
    # Whether shapes reach the implementation as they are given.
    shapes: bool = True
    note: str = ""

    @property
    def calls(self) -> str:
        return self.public or self.path.replace(":", ".")
