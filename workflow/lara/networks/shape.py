"""The sizes of a network over a grid."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Shape:
    """Channels and latitudes of the states, and the sizes of the tokens made of them.

    latitude: degrees north of each row; longitudes: points on a circle; patch, halo: in grid points; windows:
    (latitude, longitude) in tokens.
    Raises ValueError if the patch does not divide the grid or the channels were not named.
    """

    channels: int
    latitude: tuple[float, ...]
    longitudes: int
    patch: int
    halo: int
    width: int
    heads: int
    mlp_ratio: float
    windows: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        for name, size in (("latitudes", len(self.latitude)), ("longitudes", self.longitudes)):
            if size % self.patch:
                raise ValueError(
                    f"{size} {name} do not divide by patch {self.patch}: choose a patch that divides the grid"
                )

    @property
    def window(self) -> int:
        """Values in the window of a token: all channels of a patch with its halo."""
        return self.channels * (self.patch + 2 * self.halo) ** 2

    @property
    def tokens(self) -> tuple[int, int]:
        """Tokens in latitude and longitude."""
        return len(self.latitude) // self.patch, self.longitudes // self.patch

    def token_latitude(self) -> Float[Tensor, " h"]:
        """Mean latitude of each row of tokens, degrees north."""
        return torch.tensor(self.latitude, dtype=torch.float32).reshape(-1, self.patch).mean(1)
