"""Fields as tokens: the square patches of a grid, flattened, and back; with or without a halo of neighbouring points.

Patches tile the grid. Windows are patches with a halo on each side, so that neighbours overlap: what tokens say of
their windows is added up, and no seam runs along the edges of patches. Longitude wraps; beyond the poles is nothing.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F


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


def windows(field: Float[Tensor, "b c y x"], patch: int, halo: int) -> Float[Tensor, "b h w d"]:
    """Windows of side s = patch + 2 halo around every patch, flattened to d = c * s²; zeros beyond the poles."""
    b, _, y, x = field.shape
    wrapped = F.pad(F.pad(field, (halo, halo, 0, 0), mode="circular"), (0, 0, halo, halo))
    columns = F.unfold(wrapped, patch + 2 * halo, stride=patch)
    return columns.transpose(1, 2).reshape(b, y // patch, x // patch, -1)


def overlap_add(tokens: Float[Tensor, "b h w d"], patch: int, halo: int) -> Float[Tensor, "b c y x"]:
    """Sum of the windows of all tokens, the adjoint of `windows`."""
    b, h, w, d = tokens.shape
    size = (h * patch + 2 * halo, w * patch + 2 * halo)
    whole = F.fold(tokens.reshape(b, h * w, d).transpose(1, 2), size, patch + 2 * halo, stride=patch)
    if not halo:
        return whole
    inside = whole[:, :, halo:-halo]
    body, west, east = inside[..., halo:-halo], inside[..., :halo], inside[..., -halo:]
    return body + F.pad(east, (0, body.shape[-1] - halo)) + F.pad(west, (body.shape[-1] - halo, 0))
