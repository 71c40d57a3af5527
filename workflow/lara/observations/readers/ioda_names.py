"""Names in IODA files: those of version 3, which LARA writes, and the older ones of files that others wrote."""

from collections.abc import Iterator

import netCDF4
import numpy as np
import pandas as pd

from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Settings

VARIABLES = {  # of reports, in version 3
    "t": "airTemperature",
    "tv": "virtualTemperature",
    "q": "specificHumidity",
    "u": "windEastward",
    "v": "windNorthward",
    "z": "geopotential",
    "t2m": "airTemperatureAt2M",
    "tv2m": "virtualTemperatureAt2M",
    "q2m": "specificHumidityAt2M",
    "u10": "windEastwardAt10M",
    "v10": "windNorthwardAt10M",
    "ps": "stationPressure",
    "msl": "pressureReducedToMeanSeaLevel",
}
UNITS = {"t": "K", "tv": "K", "t2m": "K", "tv2m": "K", "q": "kg kg-1", "q2m": "kg kg-1", "z": "m2 s-2"}
UNITS |= {"u": "m s-1", "v": "m s-1", "u10": "m s-1", "v10": "m s-1", "ps": "Pa", "msl": "Pa"}
PHYSICAL = ("ObsValue", "ObsError", "FileBackground")
NO_TIME = np.iinfo(np.int64).min
OBSERVED = {  # of levels, under every name that is about
    "t": ("airTemperature", "airTemperatureAt2M", "air_temperature"),
    "tv": ("virtualTemperature", "virtualTemperatureAt2M", "virtual_temperature"),
    "td": ("dewpointTemperature", "dewPointTemperature", "dewpointTemperatureAt2M", "dew_point_temperature"),
    "rh": ("relativeHumidity", "relativeHumidityAt2M", "relative_humidity"),
    "q": ("specificHumidity", "specificHumidityAt2M", "specific_humidity"),
    "mixing": ("waterVaporMixingRatio", "humidity_mixing_ratio"),
    "u": ("windEastward", "windEastwardAt10M", "eastward_wind"),
    "v": ("windNorthward", "windNorthwardAt10M", "northward_wind"),
    "direction": ("windDirection", "windDirectionAt10M", "wind_direction"),
    "speed": ("windSpeed", "windSpeedAt10M", "wind_speed"),
    "ps": ("stationPressure", "surface_pressure", "surfacePressure"),
    "msl": ("pressureReducedToMeanSeaLevel",),
    "height": ("height", "geopotential_height"),
}
METADATA = {
    STATION: ("stationIdentification", "station_id"),
    LATITUDE: ("latitude",),
    LONGITUDE: ("longitude",),
    PRESSURE: ("pressure", "air_pressure"),
    reports.HEIGHT: ("height", "geopotential_height"),
    reports.ELEVATION: ("stationElevation", "station_elevation"),
    TIME: ("dateTime", "datetime"),
    "sequence": ("sequenceNumber", "sequence_number", "record_number"),
}
MARKS, ERRORS, BACKGROUNDS = ("QualityMarker", "PreQC"), ("ObsError",), ("GsiHofX", "hofx")
PERCENT = 2.0  # a share is never so great


def levels(file: netCDF4.Dataset, settings: Settings) -> pd.DataFrame:
    """The locations of a file of others as levels. ValueError for one without values, places, times or types."""
    if "ObsValue" not in file.groups or "MetaData" not in file.groups:
        raise ValueError(f"no groups ObsValue and MetaData among {list(file.groups)}: it holds no IODA observations")
    size = next(len(file.dimensions[name]) for name in ("Location", "nlocs") if name in file.dimensions)
    found = {column: _named(file["MetaData"], names, size) for column, names in METADATA.items()}
    missing = [column for column in (LATITUDE, LONGITUDE, TIME) if found[column] is None]
    if missing:
        raise ValueError(f"no {missing} in MetaData: {list(file['MetaData'].variables)}")
    table = pd.DataFrame({column: values for column, values in found.items() if values is not None})
    table[STATION] = (
        table.get(STATION, pd.Series("", table.index)).astype(str).str.strip().replace(r"MISSING\*", "", regex=True)
    )
    table = table.assign(**dict(_values(file, size)))
    if PRESSURE not in table:
        observed = _named(file["ObsValue"], ("pressure",), size)
        table[PRESSURE] = np.nan if observed is None else observed
    return _in_our_terms(table.assign(**{reports.TYPE: _types(file, size, settings)}))


def _in_our_terms(table: pd.DataFrame) -> pd.DataFrame:
    """Longitudes from 0 to 360, shares of saturation, geopotential, and what a report has beside its levels."""
    if "rh" in table and table["rh"].max() > PERCENT:
        table["rh"] = table["rh"] / 100
    if "mixing" in table:
        table["q"] = (table["mixing"] / (1 + table["mixing"])).where(table["mixing"] >= 0)
    if "height" in table:
        table["z"] = reports.GRAVITY * table["height"]
        table[reports.HEIGHT] = table.get(reports.HEIGHT, table["height"])
    table[LONGITUDE] = table[LONGITUDE].astype(np.float64) % 360
    key = ["sequence"] if "sequence" in table else [STATION, TIME, LATITUDE, LONGITUDE]
    table = wide.numbered(table, key)
    first = table.groupby(reports.REPORT)
    return table.assign(
        **{
            reports.RELEASE_TIME: first[TIME].transform("min"),
            reports.RELEASE_LATITUDE: first[LATITUDE].transform("first"),
            reports.RELEASE_LONGITUDE: first[LONGITUDE].transform("first"),
            reports.CYCLE: reports.cycle_of(table[TIME]),
        }
    )


def _values(file: netCDF4.Dataset, size: int) -> Iterator[tuple[str, np.ndarray]]:
    """Values, marks, errors and backgrounds of what is observed, under the names of levels."""
    for name, known in OBSERVED.items():
        for prefix, groups in (
            ("", ("ObsValue",)),
            (wide.MARK, MARKS),
            (wide.ERROR, ERRORS),
            (wide.BACKGROUND, BACKGROUNDS),
        ):
            group = next((one for one in groups if one in file.groups), None)
            values = None if group is None else _named(file[group], known, size)
            if values is not None:
                yield prefix + name, values


def _types(file: netCDF4.Dataset, size: int, settings: Settings) -> np.ndarray:
    """The type of mass of every location."""
    if "ObsType" in file.groups:
        types = [_array(variable, size) for variable in file["ObsType"].variables.values()]
        stated = pd.DataFrame([one for one in types if one is not None]).bfill().iloc[0]
        return np.where(stated >= 200, stated - 100, stated).astype(np.int64)
    if settings.kind is None:
        raise ValueError(
            "no group ObsType: name the type of its reports as `kind`, 120 for sondes, 181 for land stations"
        )
    return np.full(size, settings.kind)


def _named(group: netCDF4.Group, known: tuple[str, ...], size: int) -> np.ndarray | None:
    """The first variable of a group under one of its names that has a value for each location."""
    for name in known:
        if name in group.variables:
            return _array(group[name], size)
    return None


def _array(variable: netCDF4.Variable, size: int) -> np.ndarray | None:
    """Values, NaN or NaT where missing; None where there is not one for each location."""
    values = np.ma.atleast_1d(np.ma.squeeze(variable[:]))
    if values.shape != (size,):
        return None
    units = str(getattr(variable, "units", ""))
    if variable.dtype is str:
        text = np.asarray(values, dtype=object)
        return pd.to_datetime(text, utc=True).tz_localize(None).as_unit("ns").to_numpy() if "YYYY" in units else text
    numbers = np.ma.filled(values.astype(np.float64), np.nan)
    numbers = np.where(np.abs(numbers) > 1e30, np.nan, numbers)
    if not units.startswith("seconds since "):
        return numbers
    epoch = pd.Timestamp(units.removeprefix("seconds since ")).tz_localize(None)
    return (epoch + pd.to_timedelta(numbers, unit="s")).as_unit("ns").to_numpy()
