"""Total observation error: what a perfect analysis in this space and model would still miss.

    R_i = σ_o² + representation(c_i)² + forecast(k_i, c_i)²

σ_o is the instrument's, `representation` the autoencoder's error on held-out states and `forecast` the
forecaster's error grown over k slots; all three taken as independent (Janjić et al. 2018,
doi:10.1002/qj.3130).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor


def total_error_std(
    error_std: Float[Tensor, " p"],
    channel: Int[Tensor, " p"],
    slot: Int[Tensor, " p"],
    representation: Float[Tensor, " c"],
    forecast: Float[Tensor, "k c"],
) -> Float[Tensor, " p"]:
    """Square root of R for each datum, in its unit; an infinite (missing) error stays infinite.

    `representation` and `forecast` are stds per channel in SI units; row k of `forecast` belongs to slot k,
    its first row is zero when the window begins at the analysis. Raises ValueError for an std that is
    negative or not finite.
    """
    for name, std in (("representation", representation), ("forecast", forecast)):
        bad = ~(torch.isfinite(std) & (std >= 0))
        if bad.any():
            where = tuple(torch.nonzero(bad)[0].tolist())
            raise ValueError(f"{name} error at {where} is {std[where].item()}; recompute it from held-out states")
    variance = error_std**2 + representation[channel] ** 2 + forecast[slot, channel] ** 2
    return variance.sqrt()
