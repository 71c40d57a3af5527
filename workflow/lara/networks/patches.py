"""Fields as tokens: the square patches of a grid, flattened, and back."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor


def patchify(field: Float[Tensor, "b c y x"], patch: int) -> Float[Tensor, "b h w d"]:
    """Patches of side `patch`, flattened to d = c * patch²; y and x must be multiples of the patch."""
    b, c, y, x = field.shape
    tiles = field.reshape(b, c, y // patch, patch, x // patch, patch)
    return tiles.permute(0, 2, 4, 1, 3, 5).reshape(b, y // patch, x // patch, c * patch**2)


def unpatchify(tokens: Float[Tensor, "b h w d"], patch: int) -> Float[Tensor, "b c y x"]:
    """Inverse of `patchify`."""
    b, h, w, d = tokens.shape
    tiles = tokens.reshape(b, h, w, d // patch**2, patch, patch)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(b, d // patch**2, h * patch, w * patch)
