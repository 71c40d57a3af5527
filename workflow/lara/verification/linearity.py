"""Linearity of a decoder D around a latent state z.

    r(k) = D(z + k Δz) − D(z),    correlation(k) = corr(r(k), k r(1)),    ratio(k) = ‖r(k)‖₁ / ‖k r(1)‖₁

Both are 1 for every k where D is affine (Fan et al. 2026, doi:10.1126/sciadv.aea4248, figure 6); latent assimilation
then equals that in model space. Correlation is over area without removal of a mean, since r is a deviation already;
ℓ₁ norms are area means.
"""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

Map = Callable[[Tensor], Tensor]


@torch.no_grad()
def responses(
    decode: Map, latent: Float[Tensor, "l h w"], change: Float[Tensor, "l h w"], factors: Sequence[float]
) -> Float[Tensor, "k c y x"]:
    """r(k) for every factor k, decoded in one batch."""
    scale = latent.new_tensor(factors)[:, None, None, None]
    return decode(latent + scale * change) - decode(latent[None])


def agreement(
    response: Float[Tensor, "k c y x"],
    unit: Float[Tensor, "c y x"],
    factors: Sequence[float],
    area: Float[Tensor, "y x"],
) -> Float[Tensor, "2 k c"]:
    """Correlation and ratio of responses r(k) with k r(1), `unit`, channel by channel."""
    expected = torch.stack([k * unit for k in factors]).double()
    found = response.double()
    product, own, other = (
        (area * a * b).mean((2, 3)) for a, b in ((found, expected), (found, found), (expected, expected))
    )
    size, wanted = ((area * part.abs()).mean((2, 3)) for part in (found, expected))
    return torch.stack([product / (own * other).sqrt(), size / wanted])


def linear_range(factors: Sequence[float], correlation: Sequence[float], least: float = 0.9) -> tuple[float, float]:
    """The stretch of factors around 1 without a break in which the correlation is at least `least`.

    `factors` ascend. ValueError when k = 1 is not among them, where the correlation is 1 by definition.
    """
    if 1.0 not in factors:
        raise ValueError(f"factors {list(factors)} lack 1, around which the range is sought")
    first = last = list(factors).index(1.0)
    while first > 0 and correlation[first - 1] >= least:
        first -= 1
    while last < len(factors) - 1 and correlation[last + 1] >= least:
        last += 1
    return factors[first], factors[last]
