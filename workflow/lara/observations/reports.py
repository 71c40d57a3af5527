"""Reports: what observers sent, one row per datum, columns named after IODA, whatever the format it came in.

The table that is assimilated (`table`) is made of it. A report keeps what that one cannot hold: its type, its place in
an ascent, the drift of a balloon, from what its pressure was made, its provider's marks and background, and whether it
is used at all. Types are NCEP's (1xx mass, 2xx wind), into which the other formats are translated.

    variable   t tv q u v z aloft; t2m tv2m q2m u10 v10 ps msl near the ground (tv, tv2m: virtual temperature)
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from pathlib import Path

import numpy as np
import pandas as pd

from lara.observations import parquet_files
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.flags import REASONS, Flag
from lara.observations.status import WORDS, Status, Why

ALOFT = {"t", "tv", "q", "u", "v", "z"}
AT_GROUND = {"t": "t2m", "tv": "tv2m", "q": "q2m", "u": "u10", "v": "v10"}  # names that stations have for them
NEAR_GROUND = {*AT_GROUND.values(), "ps", "msl"}
GRAVITY, FREEZING = 9.80665, 273.15  # m s⁻², of geopotential metres; K
NAMES = ("ps", "msl", "t", "tv", "t2m", "tv2m", "q", "q2m", "u", "v", "u10", "v10", "z")  # in the order of a level
NONE = -1  # an integer that a report does not give


class Coordinate(IntEnum):
    """What was observed as the height of a datum."""

    PRESSURE = 0
    HEIGHT = 1
    GROUND = 2


class Origin(IntEnum):
    """From what the pressure of a datum was made."""

    REPORTED = 0
    HYDROSTATIC = 1  # from height and temperatures of the ascent: NCEP's reason code 103
    STANDARD = 2  # from height by the U.S. standard atmosphere: 116
    NOMINAL = 3  # 1013 hPa, or by the elevation alone
    ABSENT = 4


TYPE, SOURCE_TYPE, SUBTYPE = "MetaData/reportType", "MetaData/sourceType", "MetaData/reportSubtype"
ASCENT, REPORT, LEVEL = "MetaData/sequenceNumber", "MetaData/reportNumber", "MetaData/level"
HEIGHT, ELEVATION, CYCLE = "MetaData/height", "MetaData/stationElevation", "MetaData/cycle"
COORDINATE, ORIGIN = "MetaData/verticalCoordinate", "MetaData/pressureOrigin"
RELEASE_TIME = "MetaData/releaseTime"
RELEASE_LATITUDE, RELEASE_LONGITUDE = "MetaData/releaseLatitude", "MetaData/releaseLongitude"
MARK, PROGRAM, REASON = "QualityMarker", "eventProgram", "eventReason"

COLUMNS = {
    STATION: "str",
    TYPE: "int16",  # NCEP's, of the variable: those of aircraft profiles as those of single reports
    SOURCE_TYPE: "int16",  # as the file has it, NONE where it has none
    SUBTYPE: "int16",
    "MetaData/dumpReportType": "int16",
    "MetaData/instrumentType": "int16",
    "MetaData/radiationCorrection": "int16",
    CYCLE: "datetime64[ns]",  # time of the analysis its file was made for, or of its day
    ASCENT: "int32",  # of the file; mass and wind of one ascent share it
    REPORT: "int32",  # of the file
    LEVEL: "int32",  # of the report, from the first as they were sent
    "MetaData/levelCategory": "int8",  # NCEP's: 0 ground, 1 mandatory, 2 T, 3, 4 wind, 5 tropopause, 6 single
    "variable": "str",
    TIME: "datetime64[ns]",
    LATITUDE: "float64",  # degrees north, of the datum
    LONGITUDE: "float64",  # degrees east, [0, 360)
    RELEASE_TIME: "datetime64[ns]",  # of the report
    RELEASE_LATITUDE: "float64",
    RELEASE_LONGITUDE: "float64",
    PRESSURE: "float64",  # Pa, NaN where neither observed nor made
    HEIGHT: "float64",  # geopotential metres above the sea, NaN where not given
    ELEVATION: "float64",  # m, of the station
    COORDINATE: "int8",
    ORIGIN: "int8",
    "ObsValue": "float64",  # SI
    "ObsError": "float64",  # standard deviation, SI, infinite where none is given
    MARK: "int8",  # NCEP's: 0 to 3 keep, good, neutral, suspect; 4 to 15 rejected; NONE
    PROGRAM: "int16",  # of the event that gave value and mark
    REASON: "int16",
    "FileBackground": "float64",  # of its provider, SI: compared, never assimilated
    "MetaData/restriction": "int16",  # bits of NCEP's RSRD, 0 for free
    "MetaData/restrictionHours": "float64",
    "PreQC": "int64",  # a Flag, 0 good
    "status": "int8",  # a Status
    "why": "int8",  # a Why
}
_RANGES = {LATITUDE: (-90, 90), RELEASE_LATITUDE: (-90, 90), TYPE: (100, 999), MARK: (NONE, 15)}
_EXCLUSIVE = {LONGITUDE: (0, 360), RELEASE_LONGITUDE: (0, 360)}
_CODES = {COORDINATE: Coordinate, ORIGIN: Origin, "PreQC": Flag, "status": Status, "why": Why}


def validate(reports: pd.DataFrame) -> pd.DataFrame:
    """The reports with the columns and types of `COLUMNS`; ValueError names a column and its first bad row."""
    missing = [column for column in COLUMNS if column not in reports]
    if missing:
        raise ValueError(f"reports lack the column(s) {missing}: they need {list(COLUMNS)}")
    try:
        reports = reports[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"reports hold a value of the wrong type: {error}") from error
    for column, (low, high) in _RANGES.items():
        _require(reports, column, reports[column].between(low, high), f"must lie in [{low}, {high}]")
    for column, (low, high) in _EXCLUSIVE.items():
        _require(reports, column, reports[column].between(low, high, "left"), f"must lie in [{low}, {high})")
    for column, known in _CODES.items():
        _require(reports, column, reports[column].isin(list(known)), f"must be a {known.__name__}")
    _require(reports, "variable", reports["variable"].isin(NAMES), f"must be one of {NAMES}")
    _require(reports, TIME, reports[TIME].notna(), "must be a time")
    _require(reports, PRESSURE, ~(reports[PRESSURE] <= 0), "must be positive (Pa), or NaN")
    _require(reports, "ObsValue", np.isfinite(reports["ObsValue"]), "must be finite: leave out what is missing")
    _require(reports, "ObsError", reports["ObsError"] > 0, "must be positive, infinite where none is given")
    _require(reports, "why", (reports["why"] == Why.USED) == (reports["status"] == Status.USE), "is the reason of none")
    return reports


def _require(reports: pd.DataFrame, column: str, good: np.ndarray | pd.Series, rule: str) -> None:
    bad = np.flatnonzero(~np.asarray(good, dtype=bool))
    if bad.size:
        raise ValueError(
            f"reports, row {bad[0]}: {column} = {reports[column].iloc[bad[0]]} {rule} ({bad.size} such rows)"
        )


def make(columns: Mapping[str, object], count: int) -> pd.DataFrame:
    """Reports of `count` rows: the columns given, and in the others what says that nothing is known."""
    filling = {name: _filling(kind) for name, kind in COLUMNS.items()}
    unknown = [name for name in columns if name not in COLUMNS]
    if unknown:
        raise ValueError(f"reports have no column(s) {unknown}: they have {list(COLUMNS)}")
    table = pd.DataFrame({name: columns.get(name, filling[name]) for name in COLUMNS}, index=range(count))
    return table.astype(COLUMNS)


def _filling(kind: str) -> object:
    if kind.startswith("float"):
        return np.nan
    return {"str": "", "datetime64[ns]": pd.NaT}.get(kind, NONE)


def cycle_of(moments: pd.Series) -> pd.Series:
    """The analysis time nearest to each moment, where a file names none."""
    return moments.dt.round("6h")


def join(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Reports of several files one after the other, numbered on, so that each ascent keeps a number of its own."""
    shifted, ascents, numbers = [], 0, 0
    if len(parts) == 1:
        return parts[0]
    for part in parts:
        shifted.append(part.assign(**{ASCENT: part[ASCENT] + ascents, REPORT: part[REPORT] + numbers}))
        if len(part):
            ascents, numbers = int(shifted[-1][ASCENT].max()) + 1, int(shifted[-1][REPORT].max()) + 1
    return pd.concat(shifted, ignore_index=True).astype(COLUMNS)


def objections(reports: pd.DataFrame) -> pd.Series:
    """In words why a datum is not used, empty where it is: its flag, or else its status."""
    flagged = reports["PreQC"].map({flag: words for flag, words in REASONS.items() if flag != Flag.PASS})
    status = reports["why"].map({why: words for why, words in WORDS.items() if why != Why.USED})
    return flagged.fillna(status).fillna("")


def write(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Validate and write reports in their order as one parquet file, whole or not at all; each is a row group."""
    parquet_files.write((validate(part) for part in parts), COLUMNS, path)


def read(path: Path, begin: np.datetime64 | None = None, end: np.datetime64 | None = None) -> pd.DataFrame:
    """The reports in `path`, or those with begin <= time < end (UTC). Errors as of `table.read`."""
    limits = [(TIME, sign, limit) for sign, limit in ((">=", begin), ("<", end)) if limit is not None]
    return validate(parquet_files.read(path, limits))
