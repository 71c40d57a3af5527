"""Humidity: saturation and virtual temperature.

Specific humidity at saturation over water above 0 °C, over ice below −20 °C and over a mixture between, with
latent heats that vary linearly (NCEP's GSI, genqsat):

    e_s = 610.78 Pa (T₀/T)^a exp(b (1 − T₀/T)),  T₀ = 273.16 K,  q_s = ε e_s / (p − (1 − ε) e_s)
    T_v = T (1 + (1/ε − 1) q)
"""

import numpy as np
from jaxtyping import Float

GAS_DRY, GAS_VAPOUR = 287.05, 461.5  # J kg⁻¹ K⁻¹
EPSILON = GAS_DRY / GAS_VAPOUR
TRIPLE, PRESSURE = 273.16, 610.78  # K, Pa
ICE_ONLY = TRIPLE - 20.0  # K
_VAPOUR_HEAT, _MELTING = 2.5e6, 3.3358e5  # J kg⁻¹
_CP_VAPOUR, _CP_WATER, _CP_ICE = 1846.0, 4185.5, 2106.0  # J kg⁻¹ K⁻¹
Values = Float[np.ndarray, " p"]


def saturation(temperature: Values, pressure: Values) -> Values:
    """Specific humidity at saturation (kg/kg) of air at `temperature` (K) and `pressure` (Pa)."""
    water = _pressure(temperature, _VAPOUR_HEAT, _CP_WATER)
    ice = _pressure(temperature, _VAPOUR_HEAT + _MELTING, _CP_ICE)
    share = np.clip((temperature - ICE_ONLY) / (TRIPLE - ICE_ONLY), 0.0, 1.0)
    return of_vapour(share * water + (1.0 - share) * ice, pressure)


def of_vapour(vapour: Values, pressure: Values) -> Values:
    """Specific humidity (kg/kg) of air at `pressure` (Pa) whose water vapour has the pressure `vapour` (Pa).

    It is 1 where the vapour would have more than all of the pressure, as a wrong dew point may say.
    """
    vapour = np.minimum(vapour, pressure)
    return EPSILON * vapour / (pressure - (1.0 - EPSILON) * vapour)


def over_water(temperature: Values) -> Values:
    """Saturation vapour pressure (Pa) over water, which is what dew points and relative humidities are of (WMO)."""
    return _pressure(temperature, _VAPOUR_HEAT, _CP_WATER)


def virtual(temperature: Values, humidity: Values) -> Values:
    """Virtual temperature (K) of air at `temperature` (K) with specific `humidity` (kg/kg)."""
    return temperature * (1.0 + (1.0 / EPSILON - 1.0) * humidity)


def sensible(temperature: Values, humidity: Values) -> Values:
    """Temperature (K) of air whose virtual `temperature` (K) and specific `humidity` (kg/kg) are given."""
    return temperature / (1.0 + (1.0 / EPSILON - 1.0) * humidity)


def _pressure(temperature: Values, heat: float, capacity: float) -> Values:
    """Saturation vapour pressure (Pa) over a phase of latent `heat` at the triple point and heat `capacity`."""
    power = (capacity - _CP_VAPOUR) / GAS_VAPOUR
    ratio = TRIPLE / temperature
    return PRESSURE * ratio**power * np.exp((power + heat / (GAS_VAPOUR * TRIPLE)) * (1.0 - ratio))
