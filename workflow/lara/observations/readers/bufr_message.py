"""A BUFR message of WMO as levels: what stands under which of eccodes' keys, by the message's category."""

from collections.abc import Mapping
from dataclasses import dataclass

import eccodes
import numpy as np
import pandas as pd
from jaxtyping import Float

from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.reports import GRAVITY, Origin

Keys = Mapping[str, tuple[str, ...]]
LAND, SEA, ASCENT, AIRCRAFT = 0, 1, 2, 4  # data categories (common code table C-13)
SURFACE: Keys = {
    "ps": ("nonCoordinatePressure",),
    "msl": ("pressureReducedToMeanSeaLevel",),
    "t": ("airTemperatureAt2M", "airTemperature"),
    "td": ("dewpointTemperatureAt2M", "dewpointTemperature"),
    "percent": ("relativeHumidity",),
    "direction": ("windDirectionAt10M", "windDirection"),
    "speed": ("windSpeedAt10M", "windSpeed"),
}
PROFILE: Keys = {
    PRESSURE: ("pressure",),
    "height": ("nonCoordinateGeopotentialHeight", "geopotentialHeight"),
    "z": ("nonCoordinateGeopotential",),
    "t": ("airTemperature",),
    "td": ("dewpointTemperature",),
    "direction": ("windDirection",),
    "speed": ("windSpeed",),
    "seconds": ("timePeriod",),
    "north": ("latitudeDisplacement",),
    "east": ("longitudeDisplacement",),
}
FLIGHT: Keys = {
    PRESSURE: ("pressure",),
    "level": ("flightLevel", "heightOrAltitude", "height"),
    "t": ("airTemperature",),
    "td": ("dewpointTemperature",),
    "percent": ("relativeHumidity",),
    "mixing": ("mixingRatio",),
    "direction": ("windDirection",),
    "speed": ("windSpeed",),
}
HEADER: Keys = {
    LATITUDE: ("latitude",),
    LONGITUDE: ("longitude",),
    reports.ELEVATION: ("heightOfStationGroundAboveMeanSeaLevel", "heightOfStation"),
    **{name: (name,) for name in ("year", "month", "day", "hour", "minute", "second")},
}
CLOCK = ("year", "month", "day", "hour", "minute", "second")
NAMES = (
    "shipOrMobileLandStationIdentifier",
    "marineObservingPlatformIdentifier",
    "stationaryBuoyPlatformIdentifierEGCManBuoys",
    "buoyOrPlatformIdentifier",
    "aircraftRegistrationNumberOrOtherIdentification",
    "aircraftFlightNumber",
    "aircraftIdentification",
)
WIGOS = ("wigosIdentifierSeries", "wigosIssuerOfIdentifier", "wigosIssueNumber", "wigosLocalIdentifierCharacter")
ECMWF, SUBCATEGORIES = 98, {140: 187, 103: 132, 142: 130, 145: 133}  # its METAR, dropsondes, AIREP, ACARS
PILOT = 221  # NCEP's type of an ascent without temperatures
SEA_LEVEL, LAPSE, WARM, EXPONENT = 101325.0, 0.0065, 288.15, 5.25588  # the standard atmosphere below 11 km
TROPOPAUSE, COLD, SCALE = 11000.0, 22632.06, 6341.62  # m, Pa, m


@dataclass(frozen=True)
class Kind:
    """A category: NCEP's type of its mass, its keys, and whether it has many levels."""

    type: int
    keys: Keys
    many: bool = False


KINDS = {
    LAND: Kind(181, SURFACE),
    SEA: Kind(180, SURFACE),
    ASCENT: Kind(120, PROFILE, True),
    AIRCRAFT: Kind(131, FLIGHT),
}


Arrays = dict[str, np.ndarray]


def arrays(handle: int) -> Arrays:
    """What a message of one subset that is unpacked says: of its levels arrays, of itself arrays of one value."""
    kind = KINDS[eccodes.codes_get(handle, "dataCategory")]
    columns = {name: _first(handle, keys) for name, keys in kind.keys.items()}
    found = {name: values for name, values in columns.items() if values is not None}
    count = _count(found) if kind.many else 1
    found = {name: values[:count] for name, values in found.items() if len(values) >= count}
    header = {name: _first(handle, keys) for name, keys in HEADER.items()}
    found |= {name: np.full(1, np.nan) if values is None else values[:1] for name, values in header.items()}
    no_temperature = kind.many and not np.isfinite(found.get("t", np.full(1, np.nan))).any()
    kind_number = PILOT if no_temperature else _type(handle, kind)
    return found | {STATION: np.array([_station(handle)], dtype=object), reports.TYPE: np.array([kind_number])}


def _count(found: Arrays) -> int:
    """Number of levels: after them a few pressures may follow that bound layers."""
    return max((len(found[name]) for name in ("t", "speed") if name in found), default=0)


def table(messages: list[Arrays]) -> pd.DataFrame:
    """The levels of all messages in the columns that levels have."""
    lengths = [max(map(len, message.values())) for message in messages]
    names = dict.fromkeys(name for message in messages for name in message)
    joined = {
        name: np.concatenate([_column(one, name, n) for one, n in zip(messages, lengths, strict=True)])
        for name in names
    }
    return _in_our_terms(pd.DataFrame(joined))


def _column(message: Arrays, name: str, length: int) -> np.ndarray:
    values = message.get(name)
    if values is None:
        return np.full(length, np.nan)
    return values if len(values) == length else np.repeat(values, length)


def _in_our_terms(levels: pd.DataFrame) -> pd.DataFrame:
    """Times, shares, geopotential, drift in place and time, and pressure of flight levels."""
    release = _moments(levels)
    own = {reports.RELEASE_TIME: release, TIME: release, reports.CYCLE: reports.cycle_of(release)}
    own |= {reports.RELEASE_LATITUDE: levels[LATITUDE], reports.RELEASE_LONGITUDE: levels[LONGITUDE]}
    levels = levels.assign(**own)
    given = levels.get(PRESSURE, pd.Series(np.nan, levels.index))
    height = levels.get("level", pd.Series(np.nan, levels.index))
    made = given.isna() & height.notna()
    levels[PRESSURE] = given.where(~made, standard_pressure(height.to_numpy()))
    levels[reports.ORIGIN] = np.select([given.notna(), made], [Origin.REPORTED, Origin.STANDARD], Origin.ABSENT)
    if "percent" in levels:
        levels["rh"] = levels["percent"] / 100
    if "mixing" in levels:
        levels["q"] = levels["mixing"] / (1 + levels["mixing"])
    if "height" in levels:
        levels["z"] = (GRAVITY * levels["height"]).fillna(levels.get("z", np.nan))
    levels[reports.HEIGHT] = height.fillna(levels.get("z", np.nan) / GRAVITY)
    return _drifted(levels)


def _moments(levels: pd.DataFrame) -> pd.Series:
    """Time of every message, NaT where it has none or an impossible one."""
    day = pd.to_datetime(levels[["year", "month", "day"]], errors="coerce").dt.as_unit("ns")
    clock = [pd.to_timedelta(levels[name].fillna(0), unit=name[0]) for name in ("minute", "second") if name in levels]
    return sum(clock, day + pd.to_timedelta(levels["hour"], unit="h"))


def _drifted(levels: pd.DataFrame) -> pd.DataFrame:
    if "seconds" in levels:
        levels[TIME] = levels[TIME] + pd.to_timedelta(levels["seconds"].clip(0).fillna(0), unit="s")
    for place, drift in ((LATITUDE, "north"), (LONGITUDE, "east")):
        if drift in levels:
            levels[place] = levels[place] + levels[drift].fillna(0)
    return levels.drop(
        columns=[*CLOCK, "percent", "mixing", "height", "seconds", "north", "east", "level"], errors="ignore"
    )


def standard_pressure(height: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Pressure (Pa) at a height (m) up to 20 km in the standard atmosphere (ICAO), which flight levels are of."""
    below = SEA_LEVEL * np.power(np.clip(1 - LAPSE * height / WARM, 0.1, None), EXPONENT)
    return np.where(height < TROPOPAUSE, below, COLD * np.exp((TROPOPAUSE - height) / SCALE))


def _type(handle: int, kind: Kind) -> int:
    """NCEP's type of a message, by its category and by ECMWF's subcategories."""
    if _single(handle, "bufrHeaderCentre") != ECMWF:
        return kind.type
    return SUBCATEGORIES.get(eccodes.codes_get(handle, "dataSubCategory"), kind.type)


def _station(handle: int) -> str:
    block, number = _single(handle, "blockNumber"), _single(handle, "stationNumber")
    if np.isfinite(block) and np.isfinite(number):
        return f"{int(block):02d}{int(number):03d}"
    for key in NAMES:
        name = _text(handle, key)
        if name:
            return name
    return "-".join(part for part in (_text(handle, key) for key in WIGOS) if part)


def _text(handle: int, key: str) -> str:
    try:
        text = str(eccodes.codes_get(handle, key, ktype=str)).strip()
    except eccodes.KeyValueNotFoundError:
        return ""
    return "" if text in ("MISSING", str(eccodes.CODES_MISSING_LONG)) or not text.isprintable() else text


def _single(handle: int, key: str) -> float:
    values = _first(handle, (key,))
    return float("nan") if values is None else float(values[0])


def _first(handle: int, keys: tuple[str, ...]) -> Float[np.ndarray, " n"] | None:
    """The values under the first key that a message has, NaN where missing."""
    for key in keys:
        try:
            values = np.atleast_1d(np.asarray(eccodes.codes_get_array(handle, key, ktype=float)))
        except eccodes.KeyValueNotFoundError:
            continue
        return np.where(
            (values == eccodes.CODES_MISSING_DOUBLE) | (values == eccodes.CODES_MISSING_LONG), np.nan, values
        )
    return None
