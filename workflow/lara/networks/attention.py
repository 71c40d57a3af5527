"""Windowed attention on the sphere: tokens attend within windows that wrap in longitude and stop at the poles.

    y = x + Attention(LayerNorm(x)),   x' = y + MLP(LayerNorm(y))

Windows shift by half their size in every other block (Liu et al., 2021, doi:10.1109/ICCV48922.2021.00986): in longitude
by a roll, since the circle has no edge, in latitude by padding. Padding, which also fills windows that do not divide
the grid, is tokens that nobody may attend to. A window as large as the grid does not shift.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F


class WindowAttention(nn.Module):
    """Multi-head self-attention within windows of (latitude, longitude) tokens."""

    def __init__(self, width: int, heads: int, window: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.shift = (window[0] // 2, window[1] // 2) if shifted else (0, 0)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w d"]:
        """Attention of each token to the tokens of its window."""
        b, h, w, d = x.shape
        if (h, w) == self.window:  # one window without padding or shift: no copies
            return self._attend(x.reshape(b, h * w, d), None, b).reshape(b, h, w, d)
        north, south = _padding(h, self.window[0], self.shift[0])
        east, west = -w % self.window[1], self.shift[1] if self.window[1] < w else 0
        padded = F.pad(torch.roll(x, -west, dims=2), (0, 0, 0, east, north, south))
        inside = _inside((h, w), (0, east, north, south), self.window, x.device) if padded.shape != x.shape else None
        mixed = self._attend(_to_windows(padded, self.window), inside, b)
        whole = _from_windows(mixed, self.window, padded.shape)[:, north : north + h, :w]
        return torch.roll(whole, west, dims=2)

    def _attend(self, tokens: Tensor, inside: Tensor | None, batch: int) -> Tensor:
        n, t, d = tokens.shape
        parts = self.query_key_value(tokens).chunk(3, dim=-1)
        q, k, v = (part.reshape(n, t, self.heads, d // self.heads).transpose(1, 2) for part in parts)
        mask = None if inside is None else inside.repeat(batch, 1)[:, None, None, :]
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    """One attention and one feed-forward layer, each with a residual connection."""

    def __init__(self, width: int, heads: int, mlp_ratio: float, window: tuple[int, int], shifted: bool) -> None:
        super().__init__()
        hidden = int(mlp_ratio * width)
        self.attention = nn.Sequential(nn.LayerNorm(width), WindowAttention(width, heads, window, shifted))
        self.mlp = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w d"]:
        """Tokens in, tokens out."""
        x = x + self.attention(x)
        return x + self.mlp(x)


class Position(nn.Module):
    """Adds what a token is to know of its place: a learnt vector, and a learnt map of sin and cos of latitude."""

    def __init__(self, latitude: Float[Tensor, " h"], longitudes: int, width: int) -> None:
        super().__init__()
        phi = torch.deg2rad(latitude.float())
        self.register_buffer("latitude", torch.stack([phi.sin(), phi.cos()], -1), persistent=False)
        self.place = nn.Parameter(0.02 * torch.randn(len(phi), longitudes, width))
        self.from_latitude = nn.Linear(2, width)

    def forward(self, x: Float[Tensor, "b h w d"]) -> Float[Tensor, "b h w d"]:
        """Tokens with their place added."""
        return x + self.place + self.from_latitude(self.latitude)[:, None]


def blocks(depth: int, width: int, heads: int, mlp_ratio: float, windows: Sequence[tuple[int, int]]) -> nn.Sequential:
    """`depth` blocks taking the windows in turn; every second round of windows is shifted."""
    shifts = ((i // len(windows)) % 2 == 1 for i in range(depth))
    return nn.Sequential(
        *(Block(width, heads, mlp_ratio, windows[i % len(windows)], shift) for i, shift in enumerate(shifts))
    )


def _padding(rows: int, window: int, shift: int) -> tuple[int, int]:
    if window >= rows:
        return 0, window - rows
    return shift, -(rows + shift) % window


def _inside(
    size: tuple[int, int], padding: tuple[int, int, int, int], window: tuple[int, int], device: torch.device
) -> Bool[Tensor, "n t"]:
    """Which tokens of each window are on the sphere, in the order of `_to_windows` for one sample."""
    tokens = F.pad(torch.ones(size, dtype=torch.bool, device=device), padding)
    return _to_windows(tokens[None, ..., None], window)[..., 0]


def _to_windows(x: Float[Tensor, "b h w d"], window: tuple[int, int]) -> Float[Tensor, "n t d"]:
    b, h, w, d = x.shape
    tiles = x.reshape(b, h // window[0], window[0], w // window[1], window[1], d)
    return tiles.transpose(2, 3).reshape(-1, window[0] * window[1], d)


def _from_windows(x: Float[Tensor, "n t d"], window: tuple[int, int], shape: Sequence[int]) -> Float[Tensor, "b h w d"]:
    b, h, w, d = shape
    tiles = x.reshape(b, h // window[0], w // window[1], window[0], window[1], d)
    return tiles.transpose(2, 3).reshape(b, h, w, d)
