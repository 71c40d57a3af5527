"""Autoencoder: states to a latent space and back, a linear path plus a learnt residual.

    z = P x + e(x),    x' = Q z + d(z)

P and Q are the principal components of the patches of normalised states, shared by all positions and scaled to unit
variance; e and d are transformers whose last layers start at zero, so that training starts at the PCA (Eckart & Young
1936, doi:10.1007/BF02288367) and can only improve on it. Without e and d it is the PCA. After the latent spaces of
Fan et al. (2026, doi:10.1126/sciadv.aea4248). States are in normalised units: anomalies from the grid-point mean over
the channel's standard deviation of 24 h changes.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lara.networks.attention import Position, blocks
from lara.networks.patches import overlap_add, patchify, unpatchify, windows
from lara.networks.shape import Shape

Map = Callable[[Tensor], Tensor]


class Linear(nn.Module):
    """The linear path: two matrices with offsets, applied in full precision whatever the residual's."""

    def __init__(self, size: int, latent_channels: int) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(size, latent_channels), nn.Linear(latent_channels, size)

    def encode(self, tokens: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w l"]:
        """Z = P (x - m)."""
        with torch.autocast(tokens.device.type, enabled=False):
            return self.encoder(tokens.to(self.encoder.weight.dtype))

    def decode(self, tokens: Float[Tensor, "b h w l"]) -> Float[Tensor, "b h w d"]:
        """X' = Q z + m."""
        with torch.autocast(tokens.device.type, enabled=False):
            return self.decoder(tokens.to(self.decoder.weight.dtype))

    @torch.no_grad()
    def set(self, encode: Float[Tensor, "l d"], decode: Float[Tensor, "d l"], mean: Float[Tensor, " d"]) -> None:
        """Use P = encode, Q = decode and m = mean."""
        self.encoder.weight.copy_(encode)
        self.encoder.bias.copy_(-encode @ mean)
        self.decoder.weight.copy_(decode)
        self.decoder.bias.copy_(mean)


class Residual(nn.Module):
    """Transformer from tokens of one size to tokens of another; zero at the start of training."""

    def __init__(self, shape: Shape, depth: int, size_in: int, size_out: int) -> None:
        super().__init__()
        self.enter = nn.Linear(size_in, shape.width)
        self.position = Position(shape.token_latitude(), shape.tokens[1], shape.width)
        self.blocks = blocks(depth, shape.width, shape.heads, shape.mlp_ratio, shape.windows)
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Linear(shape.width, size_out)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, tokens: Float[Tensor, "b h w i"]) -> Float[Tensor, "b h w o"]:
        """Correction to the linear path."""
        return self.leave(self.norm(self.blocks(self.position(self.enter(tokens)))))


class Autoencoder(nn.Module):
    """Encoder and decoder over the patches of a grid; `depth` = (0, 0) is the linear PCA."""

    def __init__(self, shape: Shape, latent_channels: int, depth: tuple[int, int]) -> None:
        super().__init__()
        size = shape.channels * shape.patch**2
        if latent_channels > size:
            raise ValueError(f"latent_channels {latent_channels} exceed the {size} values of a patch: choose fewer")
        self.shape, self.latent_channels = shape, latent_channels
        self.linear = Linear(size, latent_channels)
        self.encoder = Residual(shape, depth[0], shape.window, latent_channels) if depth[0] else None
        self.decoder = Residual(shape, depth[1], latent_channels, shape.window) if depth[1] else None

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Channels, latitudes and longitudes of a latent state."""
        return (self.latent_channels, *self.shape.tokens)

    @property
    def compression(self) -> float:
        """Values of a state over values of its latent state."""
        return self.shape.channels * self.shape.patch**2 / self.latent_channels

    def encode(self, state: Float[Tensor, "b c y x"]) -> Float[Tensor, "b l h w"]:
        """Latent states z = E(x)."""
        tokens = patchify(state, self.shape.patch)
        latent = self.linear.encode(tokens)
        if self.encoder is not None:
            latent = latent + self.encoder(windows(state, self.shape.patch, self.shape.halo))
        return latent.permute(0, 3, 1, 2)

    def decode(self, latent: Float[Tensor, "b l h w"]) -> Float[Tensor, "b c y x"]:
        """States x = D(z)."""
        tokens = latent.permute(0, 2, 3, 1)
        state = unpatchify(self.linear.decode(tokens), self.shape.patch)
        if self.decoder is not None:
            state = state + overlap_add(self.decoder(tokens), self.shape.patch, self.shape.halo)
        return state

    def forward(self, state: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """Reconstruction D(E(x))."""
        return self.decode(self.encode(state))


def consistent(encode: Map, decode: Map, corrections: int) -> Map:
    """Encoder under which a decoded state keeps its latent state, so that repeated passes D(E(x)) do not add up.

        z_0 = E(x),    z_{i+1} = z_i + E(x) - E(D(z_i))

    Its fixed point has E(D(z)) = E(x), which for x = D(z') is z'. Each correction multiplies what a pass changes by
    I - ∂E(D(z))/∂z, small where the autoencoder is good; a PCA needs none.
    """

    def corrected(state: Tensor) -> Tensor:
        latent = first = encode(state)
        for _ in range(corrections):
            latent = latent + first - encode(decode(latent))
        return latent

    return corrected


def principal_components(
    covariance: Float[Tensor, "d d"], weights: Float[Tensor, " d"], count: int
) -> tuple[Float[Tensor, "l d"], Float[Tensor, "d l"]]:
    """Encoding and decoding matrices of the leading components of weighted patches, latent variance 1.

    Minimises E‖W^½ (x − decode encode x)‖² over all linear maps of that rank; float64 in and out.
    """
    root = weights.sqrt()
    values, vectors = torch.linalg.eigh(root[:, None] * covariance * root[None, :])
    leading, scale = vectors[:, -count:].flip(1), values[-count:].flip(0).clamp_min(1e-12).sqrt()
    return (leading / scale).T * root, leading * scale / root[:, None]
