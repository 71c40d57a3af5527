"""Diagonality of a background error covariance, from samples of the errors.

With d_ai sample a = 1 … N of the error at element i, s = d / std about zero, as B is estimated, and correlations
C_ij = ⟨s_i s_j⟩,

    shared = (1/n) Σ_ij C_ij²,    diagonality = 1 / shared,    Σ_ij C_ij² = mean over a ≠ b of (Σ_i s_ai s_bi)²

`shared` counts the elements among which one element's variance is spread: 1 for a diagonal B, n where all elements vary
as one. The last sum needs no n × n matrix and is unbiased where samples a and b are independent: the squared
correlations themselves hold 1/N each from sampling noise, which summed over n ≫ N elements would hide the signal
(Schäfer and Strimmer 2005, doi:10.2202/1544-6115.1175). Pairs close in time are therefore left out.
"""

import numpy as np
from jaxtyping import Float, Int

from lara.covariance.harmonics import EARTH_RADIUS

APART = np.timedelta64(5, "D")  # samples further apart than this count as independent
MOST_POINTS = 1000  # of which all pairs are formed


def standardised(samples: Float[np.ndarray, "n c y x"]) -> Float[np.ndarray, "n c y x"]:
    """Samples over the rms of each element. ValueError naming a channel (by position) that has none somewhere."""
    std = np.sqrt(np.mean(np.square(samples, dtype=np.float64), axis=0))
    dead = np.unique(np.argwhere(~(std > 0))[:, 0])
    if dead.size:
        raise ValueError(f"differences of channels {dead.tolist()} vanish somewhere: check the forecaster")
    return (samples / std).astype(np.float32)


def shared_elements(samples: Float[np.ndarray, "n c y x"], valid: np.ndarray) -> float:
    """`shared` of standardised samples valid at `valid` (datetime64). ValueError when none are far enough apart."""
    flat = samples.reshape(len(samples), -1).astype(np.float64)
    apart = np.abs(valid[:, None] - valid) > APART
    if not apart.any():
        raise ValueError(f"{len(samples)} samples within {APART} of one another cannot tell: spread them")
    return float(np.mean(np.square(flat @ flat.T)[apart]) / flat.shape[1])


def between_channels(samples: Float[np.ndarray, "n c y x"], rows: Float[np.ndarray, " y"]) -> Float[np.ndarray, "c c"]:
    """Correlation of channels at the same place, mean over places with the areas of their rows."""
    root = np.sqrt(rows / rows.mean()).astype(np.float32)
    weighted = (samples * root[:, None]).transpose(1, 0, 2, 3).reshape(samples.shape[1], -1)
    product = (weighted @ weighted.T).astype(np.float64)
    size = np.sqrt(np.diag(product))
    return product / (size[:, None] * size)


def mean_off_diagonal(correlation: Float[np.ndarray, "c c"]) -> float:
    """Mean absolute correlation between different channels."""
    count = len(correlation)
    return float((np.abs(correlation).sum() - np.abs(np.diag(correlation)).sum()) / (count * (count - 1)))


def over_distance(
    samples: Float[np.ndarray, "n c y x"],
    latitude: Float[np.ndarray, " y"],
    longitude: Float[np.ndarray, " x"],
    edges: Float[np.ndarray, " k"],
    rng: np.random.Generator,
) -> Float[np.ndarray, "c k-1"]:
    """Correlation of a channel with itself over great-circle distances between `edges` (m), mean over pairs.

    Degrees of latitude and longitude. Of more than 1000 points as many are drawn, equal areas with equal chance. NaN
    where no pair has that distance.
    """
    point = _points(latitude, longitude.size, rng)
    place = np.deg2rad(np.stack([latitude[point // longitude.size], longitude[point % longitude.size]]))
    upper = np.triu_indices(len(point), 1)
    which = np.digitize(_distance(*place)[upper], edges) - 1
    inside = (which >= 0) & (which < len(edges) - 1)
    pairs = np.bincount(which[inside], minlength=len(edges) - 1).astype(np.float64)
    found = np.full((samples.shape[1], len(pairs)), np.nan)
    for channel in range(samples.shape[1]):
        chosen = samples[:, channel].reshape(len(samples), -1)[:, point]
        correlation = ((chosen.T @ chosen) / len(samples))[upper][inside]
        total = np.bincount(which[inside], correlation, minlength=len(pairs))
        np.divide(total, pairs, out=found[channel], where=pairs > 0)
    return found


def _points(latitude: Float[np.ndarray, " y"], columns: int, rng: np.random.Generator) -> Int[np.ndarray, " p"]:
    count = latitude.size * columns
    if count <= MOST_POINTS:
        return np.arange(count)
    area = np.repeat(np.cos(np.deg2rad(latitude)), columns)
    return rng.choice(count, MOST_POINTS, replace=False, p=area / area.sum())


def _distance(latitude: Float[np.ndarray, " p"], longitude: Float[np.ndarray, " p"]) -> Float[np.ndarray, "p p"]:
    """Great-circle distances in metres of points in radians."""
    cosine = np.sin(latitude[:, None]) * np.sin(latitude) + np.cos(latitude[:, None]) * np.cos(latitude) * np.cos(
        longitude[:, None] - longitude
    )
    return EARTH_RADIUS * np.arccos(np.clip(cosine, -1.0, 1.0))
