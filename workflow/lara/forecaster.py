"""Forecaster: one step of the atmosphere, as the state plus a predicted tendency.

    x(t + 6 h) = x(t) + s f(x(t)),    s = std of one-step changes per channel

f is a transformer over patches whose last layer starts at zero, so that training starts from persistence. States are in
normalised units (see `lara.normalise`).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from lara.networks.attention import Position, blocks
from lara.networks.patches import overlap_add, windows
from lara.networks.shape import Shape


class Forecaster(nn.Module):
    """Transformer that predicts the change over one step; `tendency_scale` (c,) in normalised units."""

    tendency_scale: Tensor

    def __init__(self, shape: Shape, depth: int, tendency_scale: Float[Tensor, " c"]) -> None:
        super().__init__()
        self.shape = shape
        self.enter = nn.Linear(shape.window, shape.width)
        self.position = Position(shape.token_latitude(), shape.tokens[1], shape.width)
        self.blocks = blocks(depth, shape.width, shape.heads, shape.mlp_ratio, shape.windows)
        self.norm = nn.LayerNorm(shape.width)
        self.leave = nn.Linear(shape.width, shape.window)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        self.register_buffer("tendency_scale", tendency_scale.float()[:, None, None])

    def forward(self, state: Float[Tensor, "b c y x"]) -> Float[Tensor, "b c y x"]:
        """State one step later."""
        tokens = self.position(self.enter(windows(state, self.shape.patch, self.shape.halo)))
        tendency = overlap_add(self.leave(self.norm(self.blocks(tokens))), self.shape.patch, self.shape.halo)
        return state + self.tendency_scale * tendency

    def rollout(self, state: Float[Tensor, "b c y x"], steps: int) -> Float[Tensor, "b k c y x"]:
        """States after 1 … steps steps."""
        states = []
        for _ in range(steps):
            state = self(state)
            states.append(state)
        return torch.stack(states, 1)
