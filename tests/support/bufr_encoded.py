"""BUFR messages of WMO with values, encoded by eccodes."""

import eccodes

SURFACE = (301001, 301011, 301012, 301021, 7030, 10004, 12101, 12103, 11001, 11002)
ASCENT = (301001, 2011, 301011, 301012, 301021, 7030, 106000, 31001, 7004, 10009, 12101, 12103, 11001, 11002)
CLOCK = {"year": 2020, "month": 11, "day": 1, "hour": 12, "minute": 0}


def _encoded(
    category: int, descriptors: tuple, subsets: int, compressed: bool, values: dict, replication=None
) -> bytes:
    handle = eccodes.codes_bufr_new_from_samples("BUFR4")
    try:
        if replication is not None:
            eccodes.codes_set_array(handle, "inputDelayedDescriptorReplicationFactor", replication)
        header = {"dataCategory": category, "numberOfSubsets": subsets, "compressedData": int(compressed)}
        header |= {"masterTablesVersionNumber": 31, "bufrHeaderCentre": 78}
        for key, value in header.items():
            eccodes.codes_set(handle, key, value)
        eccodes.codes_set_array(handle, "unexpandedDescriptors", descriptors)
        for key, value in values.items():
            setter = eccodes.codes_set_array if isinstance(value, list) else eccodes.codes_set
            setter(handle, key, value)
        eccodes.codes_set(handle, "pack", 1)
        return eccodes.codes_get_message(handle)
    finally:
        eccodes.codes_release(handle)


def surface(stations: list[int], temperatures: list[float], *, category: int = 0, compressed: bool = False) -> bytes:
    """One message with a subset for each station: 1000 hPa, dew point 5 K below, wind of 10 m/s from the west."""
    count = len(stations)
    places = {"latitude": [48.0] * count, "longitude": [16.0] * count, "stationNumber": stations}
    values = {
        key: [value] * count for key, value in ({"blockNumber": 11, "nonCoordinatePressure": 1e5} | CLOCK).items()
    }
    wind = {"windDirection": [270] * count, "windSpeed": [10.0] * count}
    dew = {"airTemperature": temperatures, "dewpointTemperature": [one - 5 for one in temperatures]}
    height = {"heightOfStationGroundAboveMeanSeaLevel": [200.0] * count}
    return _encoded(category, SURFACE, count, compressed, values | places | height | dew | wind)


def ascent(
    pressures: list[float], temperatures: list[float], station: int = 35, speeds: list[float] | None = None
) -> bytes:
    """One ascent; a missing number is eccodes.CODES_MISSING_DOUBLE."""
    count = len(pressures)
    values = {"blockNumber": 11, "stationNumber": station, "latitude": 48.0, "longitude": -16.0} | CLOCK
    columns = {"pressure": pressures, "airTemperature": temperatures, "windSpeed": speeds or [5.0] * count}
    columns |= {"windDirection": [180] * count, "heightOfStationGroundAboveMeanSeaLevel": 200.0}
    return _encoded(2, ASCENT, 1, False, values | columns, [count])
