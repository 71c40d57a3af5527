"""Bounds of what the atmosphere does, in SI units: beyond them are other units, stand-ins and broken messages alone.

Those of geopotential follow from the pressure p by the hypsometric equation, with p₀ = 1013.25 hPa and a layer between
the two whose mean temperature T is far below or above any that occurs; the ground may be deep in a cyclone:

    Φ = R T ln(p₀/p) ± 1.3e4 m² s⁻²
"""

import numpy as np
from jaxtyping import Float

GAS_CONSTANT = 287.05  # of dry air, J kg⁻¹ K⁻¹
SURFACE_PRESSURE = 1013.25  # hPa
_BOUNDS = {"t": (100.0, 400.0), "u": (-400.0, 400.0), "v": (-400.0, 400.0), "q": (-0.01, 0.1)}
_BOUNDS |= {"msl": (8e4, 1.2e5), "u10": (-150.0, 150.0), "v10": (-150.0, 150.0), "t2m": (100.0, 400.0)}
_LAYER, _GROUND = (150.0, 350.0), 1.3e4  # K; m² s⁻²
_GLOBE, _NEAR = (200.0, 290.0), 3e3  # the same for the middle of a whole field
Bound = Float[np.ndarray, "..."]


def bounds(name: str, pressure: float | Bound | None = None) -> tuple[Bound, Bound]:
    """Lowest and highest value of a variable at pressures (hPa), each of their shape; infinite for an unknown one."""
    if name == "z" and pressure is not None:
        cold, warm = (_geopotential(temperature, pressure) for temperature in _LAYER)
        return np.minimum(cold, warm) - _GROUND, np.maximum(cold, warm) + _GROUND
    low, high = _BOUNDS.get(name, (-np.inf, np.inf))
    shape = np.shape(0.0 if pressure is None else pressure)
    return np.full(shape, low), np.full(shape, high)


def middle(name: str, pressure: float | None) -> tuple[float, float]:
    """Between which the mean of a whole field lies; of others than geopotential it may be any.

    Heights in metres under the name of geopotential lie beyond.
    """
    if name != "z" or pressure is None:
        return -np.inf, np.inf
    low, high = sorted(float(_geopotential(temperature, pressure)) for temperature in _GLOBE)
    return low - _NEAR, high + _NEAR


def _geopotential(temperature: float, pressure: float | Bound) -> Bound:
    return GAS_CONSTANT * temperature * np.log(SURFACE_PRESSURE / np.asarray(pressure, np.float64))
