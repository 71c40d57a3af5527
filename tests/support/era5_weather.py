"""Weather for a loopback Climate Data Store: planetary waves that travel eastwards, in balance but for the tropics.

Geopotential of wave k at latitude φ, longitude λ and time t (days), with p the pressure over 1000 hPa:

    Φ' = A_k(p) cos²φ cos(k λ − ω_k t + θ_k (1 − p)),   t = t₀ + s ∂Φ/∂ln p / R,   (u, v) = geostrophic, with f bounded.

Same on any grid, smooth, never below what humidity may be, and different at every time.
"""

import functools
import json

import numpy as np

from gribs import delivery
from lara.grid import Grid
from lara.state import Channels
from lara.variables import VARIABLES

RADIUS, ROTATION, GAS = 6.371e6, 7.292e-5, 287.0
WAVES = {
    1: (700.0, 0.31, 0.4),
    2: (600.0, 0.77, 1.1),
    3: (500.0, 1.23, 2.3),
    5: (600.0, 2.11, 4.0),
    6: (400.0, 2.9, 0.7),
}
SHORT = {variable.archive_name: name for name, variable in VARIABLES.items()}


def states(channels: Channels, times, grid: Grid) -> np.ndarray:
    """States (time, channel, latitude, longitude) in SI units, float64."""
    days = (np.asarray(times, "M8[m]") - np.datetime64("2001-01-01", "m")) / np.timedelta64(1, "D")
    return np.stack([_field(channel.variable, channel.level, days, grid) for channel in channels.channels], axis=1)


def _field(name, level, days, grid):
    """(time, latitude, longitude)."""
    p = (level or 1000) / 1000
    north, east = np.deg2rad(grid.latitude)[:, None], np.deg2rad(grid.longitude)
    waves, slope_east, slope_north = _waves(p, days[:, None, None], north, east)
    coriolis = 2 * ROTATION * np.sign(north + 1e-9) * np.maximum(np.abs(np.sin(north)), 0.3)
    temperature = 300 - 45 * np.sin(north) ** 2 - 60 * (1 - p) + waves / 150
    match name:
        case "z":
            return 4.347e5 * (1 - p**0.19) + 3e3 * p * np.cos(2 * north) * (1 - p) + waves
        case "t" | "t2m":
            return temperature
        case "u" | "u10":
            return 20 * (1.2 - p) * np.sin(2 * north) ** 2 - slope_north / (coriolis * RADIUS)
        case "v" | "v10":
            return slope_east / (coriolis * RADIUS)
        case "q":
            return 0.015 * p**3 * np.exp((temperature - 300) / 15)
        case "msl":
            return 1.013e5 + 1.2 * waves
    raise ValueError(name)


def _waves(p, days, north, east):
    """Geopotential of all waves, its slope eastwards over cos φ, and northwards."""
    value = slope_east = slope_north = 0.0
    for k, (size, speed, phase) in WAVES.items():
        angle = k * east - speed * days + phase * (2 - p) + 0.3 * np.sin(days / (k + 2))
        height = size * (1.5 - p)
        value = value + height * np.cos(north) ** 2 * np.cos(angle)
        slope_east = slope_east - height * np.cos(north) * k * np.sin(angle)
        slope_north = slope_north - height * np.sin(2 * north) * np.cos(angle)
    return value, slope_east, slope_north


def produce(dataset, request):
    """The GRIB that the store delivers for a request; its order of messages is not ours."""
    return _produce(json.dumps(request, sort_keys=True))


@functools.lru_cache(maxsize=8)
def _produce(text):
    request = json.loads(text)
    names = [SHORT[name] for name in request["variable"]]
    levels = [int(level) for level in request.get("pressure_level", [])]
    channels = Channels.of([], names, levels) if levels else Channels.of(names, [], [])
    east, north = (float(part) for part in request["grid"].split("/"))
    grid = Grid.equiangular(round(180 / north) + 1, round(360 / east), poles=True)
    return b"".join(delivery(channels, times(request), states(channels, times(request), grid), grid))


def times(request):
    """Times of a request, in order."""
    month = f"{request['year'][0]}-{request['month'][0]}"
    return np.array([f"{month}-{day}T{clock}" for day in request["day"] for clock in request["time"]], "M8[m]")
