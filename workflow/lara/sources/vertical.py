"""From terrain-following sigma levels (σ = p/p_s) to pressure levels and mean sea level.

With η = ln(p/p_s) the column is known at η_k = ln σ_k and at the surface, η = 0. Winds, temperature and
humidity are linear in η. Geopotential Φ solves dΦ/dη = −R T_v with T_v linear in η and meets the model's own
Φ at both ends of the interval:

    Φ(η) = Φ_linear(η) + ½ R (dT_v/dη) (η − η_a)(η_b − η)

Above the first level: constant, Φ isothermal. Between the last level and the surface: winds and humidity
constant, T on the lapse rate Γ = 6.5 K/km. Below the ground, with T* the surface temperature so extrapolated
and Φ_s the surface geopotential of the *same* (spectrally truncated) orography that the dynamics uses,

    T = T* (1 + αη + (αη)²/2 + (αη)³/6),   Φ = Φ_s − R T*η (1 + αη/2 + (αη)²/6),   p_msl = p_s exp(x (1 −
    αx/2 + (αx)²/3)),

x = Φ_s/(R T*), α = RΓ/g, with the bounds on hot and cold ground of the ECMWF post-processing (Φ and p_msl
only, where they keep a reduced pressure plausible): Simmons and Burridge (1981)
doi:10.1175/1520-0493(1981)109<0758:AEAAMC>2.0.CO;2 for the model's discretisation; Yessad, *FULL-POS in the
cycle 46T1 of ARPEGE/IFS* (Météo-France 2018) for the extrapolation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

GRAVITY = 9.81  # m s-2, the simulated planet's, not the standard 9.80665
DRY_AIR = 287.04  # J kg-1 K-1, R of the same model
LAPSE_RATE = 0.0065  # K m-1
VIRTUAL = 0.608  # R_v/R − 1
WARM, COLD = 290.5, 255.0  # K, bounds on extrapolated ground temperatures
HUMIDITY_FLOOR = 1e-7  # kg/kg, well below the driest real stratosphere (2e-6)

_ALPHA = DRY_AIR * LAPSE_RATE / GRAVITY

Surface = Float[np.ndarray, "time latitude longitude"]
Column = Float[np.ndarray, "time layer latitude longitude"]
Levels = Float[np.ndarray, "time level latitude longitude"]


@dataclass(frozen=True)
class SigmaState:
    """States on sigma levels `sigma` (layer,), top first.

    Geopotential m² s⁻², temperature K, humidity kg/kg, winds m s⁻¹, `surface_pressure` Pa;
    `surface_geopotential` (latitude, longitude), m² s⁻², is that of the orography the dynamics uses.
    """

    sigma: Float[np.ndarray, " layer"]
    geopotential: Column
    temperature: Column
    humidity: Column
    eastward: Column
    northward: Column
    surface_pressure: Surface
    surface_geopotential: Float[np.ndarray, "latitude longitude"]


def to_pressure_levels(state: SigmaState, levels: Sequence[int]) -> dict[str, Levels]:
    """z, q, t, u, v on `levels` (hPa), each (time, level, latitude, longitude)."""
    pressure = 100.0 * np.asarray(levels, dtype=np.float64)
    eta = np.log(pressure[:, None, None]) - np.log(state.surface_pressure)[:, None]
    place = _Place.of(state.sigma, eta)
    return {
        "z": _geopotential(state, place),
        "q": positive(place.linear(state.humidity, state.humidity[:, -1])),
        "t": _temperature(state, place),
        "u": place.linear(state.eastward, state.eastward[:, -1]),
        "v": place.linear(state.northward, state.northward[:, -1]),
    }


def mean_sea_level_pressure(state: SigmaState) -> Surface:
    """Pressure reduced to Φ = 0, Pa."""
    ground, alpha = _reduced(state)
    x = state.surface_geopotential / (DRY_AIR * ground)
    return state.surface_pressure * np.exp(x * (1.0 - alpha * x / 2.0 + (alpha * x) ** 2 / 3.0))


def positive(humidity: Float[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """½ (q + √(q² + 4 q₀²)) with q₀ = HUMIDITY_FLOOR: positive, smooth, within 1 % of q where q > 10 q₀.

    The simulated upper troposphere is exactly dry over a quarter of the globe, and constant zeros have no
    variability to learn.
    """
    return 0.5 * (humidity + np.sqrt(humidity**2 + 4.0 * HUMIDITY_FLOOR**2))


@dataclass(frozen=True)
class _Place:
    """Where targets `eta` lie: at `fraction` of [`start`, `stop`], the interval below node `upper`."""

    eta: Levels
    upper: Int[np.ndarray, "time level latitude longitude"]
    fraction: Levels
    start: Levels
    stop: Levels

    @classmethod
    def of(cls, sigma: Float[np.ndarray, " layer"], eta: Levels) -> "_Place":
        nodes = np.append(np.log(sigma), 0.0)
        upper = np.clip(np.searchsorted(nodes, eta, side="right") - 1, 0, sigma.size - 1)
        start, stop = nodes[upper], nodes[upper + 1]
        return cls(eta, upper, np.clip((eta - start) / (stop - start), 0.0, 1.0), start, stop)

    def linear(self, column: Column, surface: Surface) -> Levels:
        above, below = self.ends(column, surface)
        return above + self.fraction * (below - above)

    def ends(self, column: Column, surface: Surface) -> tuple[Levels, Levels]:
        nodes = np.concatenate([column, np.broadcast_to(surface, column[:, 0].shape)[:, None]], axis=1)
        return np.take_along_axis(nodes, self.upper, axis=1), np.take_along_axis(nodes, self.upper + 1, axis=1)

    @property
    def below_ground(self) -> Levels:
        return np.maximum(self.eta, 0.0)

    @property
    def above_top(self) -> Levels:
        return np.minimum(self.eta - self.start, 0.0)


def _ground_temperature(state: SigmaState) -> Surface:
    """T* = T_L (1 + α (1/σ_L − 1)): the lowest level's temperature carried to the surface, K."""
    return state.temperature[:, -1] * (1.0 + _ALPHA * (1.0 / state.sigma[-1] - 1.0))


def _reduced(state: SigmaState) -> tuple[Surface, Surface]:
    """T* (K) and α bounded so that ground above WARM or below COLD gives no extreme reduced pressure."""
    ground, height = _ground_temperature(state), state.surface_geopotential
    at_sea = ground + LAPSE_RATE * height / GRAVITY
    elevated = np.where(height > 1.0, height, np.inf)
    alpha = np.where(at_sea > WARM, DRY_AIR * np.maximum(WARM - ground, 0.0) / elevated, _ALPHA)
    bounded = np.where((at_sea > WARM) & (ground > WARM), 0.5 * (WARM + ground), ground)
    return np.where(bounded < COLD, 0.5 * (COLD + bounded), bounded), alpha


def _temperature(state: SigmaState, place: _Place) -> Levels:
    ground = _ground_temperature(state)
    y = _ALPHA * place.below_ground
    return place.linear(state.temperature, ground) + ground[:, None] * y * (1.0 + y / 2.0 + y**2 / 6.0)


def _geopotential(state: SigmaState, place: _Place) -> Levels:
    virtual = state.temperature * (1.0 + VIRTUAL * state.humidity)
    ground_virtual = _ground_temperature(state) * (1.0 + VIRTUAL * state.humidity[:, -1])
    warm_above, warm_below = place.ends(virtual, ground_virtual)
    slope = (warm_below - warm_above) / (place.stop - place.start)
    bend = place.fraction * (1.0 - place.fraction) * (place.stop - place.start) ** 2
    inside = place.linear(state.geopotential, state.surface_geopotential) + 0.5 * DRY_AIR * slope * bend
    ground, alpha = _reduced(state)
    eta, y = place.below_ground, alpha[:, None] * place.below_ground
    return inside - DRY_AIR * (virtual[:, :1] * place.above_top + ground[:, None] * eta * (1.0 + y / 2.0 + y**2 / 6.0))
