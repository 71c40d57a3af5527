"""Rounding of float32 to the bits that carry information, so that the rest compresses to nothing.

BitRound: of the 23 bits of the mantissa the first k are kept, rounded to the nearest and ties to even, as arithmetic
rounds (Klöwer et al. 2021, doi:10.1038/s43588-021-00156-2). The relative error is at most 2^−(k+1).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32

MANTISSA = 23


def bitround(values: Float32[np.ndarray, "..."], keepbits: int) -> Float32[np.ndarray, "..."]:
    """Finite values rounded to `keepbits` bits of the mantissa (1 to 23, the last leaving them as they are)."""
    drop = MANTISSA - keepbits
    if not drop:
        return values
    bits = np.ascontiguousarray(values).view(np.uint32)
    half = np.uint32((1 << (drop - 1)) - 1)
    rounded = bits + half + ((bits >> np.uint32(drop)) & np.uint32(1))
    return (rounded & ~np.uint32((1 << drop) - 1)).view(np.float32)


def worst_error(keepbits: int) -> float:
    """Bound of the relative error."""
    return 2.0 ** -(keepbits + 1) if keepbits < MANTISSA else 0.0
