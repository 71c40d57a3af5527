"""Adam in the latent space, the released minimiser of Fan et al. (2026), kept to compare with.

Kingma & Ba (2015), arXiv:1412.6980, on z = z_b + std χ: ∇_z J = ∇_χ J / std, a fixed number of steps of rate 0.1, no
preconditioning by B and no stopping rule. The released code returns the last iterate; `minimise` returns the best.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from lara.assimilation.search import Evaluate, LimitReached, Outcome, Point, Reason, Search, require_positive


@dataclass(frozen=True, eq=False)
class Adam:
    """Settings: `std`, the diagonal B_z^½ (…), units of z; learning `rate` in units of z; number of `evaluations`."""

    std: Float[Tensor, "..."]
    rate: float = 0.1
    evaluations: int = 100
    decay: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require_positive("minimiser", evaluations=self.evaluations)

    def search(self, first: Point, memory: object = None) -> Search:
        """Take steps until the evaluations are used up."""
        point, steps = first, 0
        mean, square = torch.zeros_like(first.gradient), torch.zeros_like(first.gradient)
        try:
            while True:
                steps += 1
                gradient = point.gradient / self.std
                mean = self.decay[0] * mean + (1 - self.decay[0]) * gradient
                square = self.decay[1] * square + (1 - self.decay[1]) * gradient**2
                unbiased, scale = mean / (1 - self.decay[0] ** steps), square / (1 - self.decay[1] ** steps)
                step = self.rate * unbiased / (scale.sqrt() + self.epsilon)
                point = yield Evaluate(point.argument - step / self.std)
        except LimitReached:
            return Outcome(steps - 1, Reason.DONE)
