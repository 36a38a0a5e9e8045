"""The paper's loss by its factors, for wrong losses that differ in one of them."""

from dataclasses import dataclass

from jax import Array
from jax.nn import sigmoid, softplus


@dataclass(frozen=True)
class Paper:
    """The loss of logits z and targets y of 0 and 1: α_t·(1 − p_t)^γ·(−log p_t)."""

    z: Array
    y: Array
    alpha: float | None
    gamma: float

    @property
    def u(self) -> Array:
        """The margin: how far the logit is on the right side."""
        return (2 * self.y - 1) * self.z

    @property
    def p_t(self) -> Array:
        return sigmoid(self.u)

    @property
    def alpha_t(self) -> Array | float:
        if self.alpha is None:
            return 1.0
        return self.alpha * self.y + (1 - self.alpha) * (1 - self.y)

    @property
    def modulator(self) -> Array:
        """(1 − p_t)^γ."""
        return sigmoid(-self.u) ** self.gamma

    @property
    def cross_entropy(self) -> Array:
        """−log p_t."""
        return softplus(-self.u)

    @property
    def focal(self) -> Array:
        return self.modulator * self.cross_entropy

    @property
    def loss(self) -> Array:
        return self.alpha_t * self.focal
