"""Rows of reports made of PrepBUFR levels, one for every value.

Aircraft profiles (types 330 to 535) get the types of single reports, 13x for mass and 23x for wind.
"""

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Int, Int64

from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.flags import Flag
from lara.observations.readers.nested import taken
from lara.observations.readers.prepbufr_data import Datum, data, flags, pressure
from lara.observations.readers.prepbufr_levels import Levels
from lara.observations.readers.settings import Settings
from lara.observations.reports import NONE, Coordinate, Origin

PREPRO = 1  # the program that makes pressures
ORIGINS = {103: Origin.HYDROSTATIC, 116: Origin.STANDARD}  # by its reason
NOMINAL = (182, 183, 188, 282, 284, 288)  # types of stations without pressure
REJECTED = 4  # the least mark of what is rejected
WINDS = ("u", "v", "u10", "v10")


def rows(levels: Levels, cycle: np.datetime64, settings: Settings) -> pd.DataFrame:
    """All data of some levels as reports, by level and within it in the order of `reports.NAMES`; not yet judged."""
    bad, placed, parts = _bad_pressure(levels, settings), levels.placed, []
    for datum in data(levels, settings):
        own = np.flatnonzero(np.isfinite(datum.value) & placed)
        parts.append(_part(datum, own, bad[own], settings))
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.lexsort((joined["order"], joined["at"]))
    joined = {name: values[order] for name, values in joined.items()}
    columns = {name: values[joined["at"]] for name, values in _common(levels, cycle).items()}
    columns |= {name: joined[name] for name in joined if name in reports.COLUMNS}
    columns["variable"] = _texts(np.array(reports.NAMES), joined["order"])
    columns[STATION] = _texts(levels.station, levels.report[joined["at"]])
    columns[reports.TYPE] = _types(columns[reports.SOURCE_TYPE], joined["wind"])
    at_ground = joined["ground"]
    columns[reports.COORDINATE] = np.where(at_ground, np.int8(Coordinate.GROUND), columns[reports.COORDINATE])
    return reports.make(columns, len(order))


def _bad_pressure(levels: Levels, settings: Settings) -> Bool[np.ndarray, " n"]:
    """Levels whose pressure is rejected, so that nothing at them can be used."""
    stack = levels.observed["POB"]
    return (flags(stack, stack.newest, settings) == Flag.PREQC) & (taken(stack.mark, stack.newest) >= REJECTED)


def _part(
    datum: Datum, own: Int64[np.ndarray, " k"], bad: Bool[np.ndarray, " k"], settings: Settings
) -> dict[str, np.ndarray]:
    """What data of a variable do not share with others at their level; `at` are their levels."""
    flag, error, name = datum.flag[own], datum.error[own], datum.name
    error = np.where(np.isfinite(error) & (error > 0), error, np.inf)
    flag = np.where((flag == Flag.PASS) & np.isinf(error), Flag.NO_ERROR, flag)
    if name in settings.errors:
        error = np.where(flag == Flag.NO_ERROR, settings.errors[name], error)
        flag = np.where(flag == Flag.NO_ERROR, Flag.PASS, flag)
    by_level = bad & np.isin(flag, (Flag.PASS, Flag.NO_ERROR)) & (name not in ("ps", "msl"))
    return {
        "at": own,
        "order": np.full(len(own), reports.NAMES.index(name), dtype=np.int8),
        "wind": np.full(len(own), name in WINDS),
        "ground": np.full(len(own), name in reports.NEAR_GROUND),
        "ObsValue": datum.value[own],
        "ObsError": error,
        "FileBackground": datum.background[own],
        "PreQC": np.where(by_level, Flag.LEVEL, flag),
        reports.MARK: _integers(datum.mark[own]),
        reports.PROGRAM: _integers(datum.program[own]),
        reports.REASON: _integers(datum.reason[own]),
    }


def _common(levels: Levels, cycle: np.datetime64) -> dict[str, np.ndarray]:
    """What all variables of a level share."""
    origin, height = _origins(levels), levels.observed["ZOB"]
    by_height = np.isin(origin, (Origin.HYDROSTATIC, Origin.STANDARD))
    return _codes(levels) | {
        reports.CYCLE: np.full(len(origin), cycle),
        reports.ASCENT: _ascents(levels)[levels.report],
        reports.REPORT: levels.report.astype(np.int32),
        reports.LEVEL: levels.number.astype(np.int32),
        TIME: _times(cycle, levels.hours),
        LATITUDE: levels.latitude,
        LONGITUDE: levels.longitude,
        reports.RELEASE_TIME: _times(cycle, levels.of_report("DHR")),
        reports.RELEASE_LATITUDE: levels.of_report("YOB"),
        reports.RELEASE_LONGITUDE: levels.of_report("XOB") % 360.0,
        PRESSURE: pressure(levels),
        reports.HEIGHT: taken(height.value, height.newest),
        reports.ELEVATION: levels.of_report("ELV"),
        reports.ORIGIN: origin,
        reports.COORDINATE: np.where(by_height, Coordinate.HEIGHT, Coordinate.PRESSURE).astype(np.int8),
        "MetaData/restriction": np.nan_to_num(levels.of_report("RSRD")).astype(np.int16),
        "MetaData/restrictionHours": levels.of_report("EXPRSRD"),
    }


def _codes(levels: Levels) -> dict[str, np.ndarray]:
    """Numbers of NCEP's code tables, NONE where there is none."""
    names = {
        reports.SOURCE_TYPE: "TYP",
        reports.SUBTYPE: "TSB",
        "MetaData/dumpReportType": "T29",
        "MetaData/instrumentType": "ITP",
        "MetaData/radiationCorrection": "SIRC",
    }
    codes = {name: _integers(levels.of_report(mnemonic)) for name, mnemonic in names.items()}
    return codes | {"MetaData/levelCategory": _integers(levels.beside["CAT"])}


def _origins(levels: Levels) -> Int[np.ndarray, " n"]:
    """From what the pressure of every level was made: what PREPRO says of it, whatever was marked later."""
    stack, kind = levels.observed["POB"], levels.of_report("TYP")
    made = taken(stack.reason, stack.first(stack.program == PREPRO))
    cases = {Origin.NOMINAL: np.isin(kind, NOMINAL)} | {origin: made == code for code, origin in ORIGINS.items()}
    return np.select(list(cases.values()), list(cases), Origin.REPORTED).astype(np.int8)


def _ascents(levels: Levels) -> Int64[np.ndarray, " m"]:
    """Number of the ascent of every report: mass and wind of one have the same station and sequence number (SQN)."""
    sequence = levels.header["SQN"]
    own = np.where(np.isfinite(sequence), sequence, -1.0 - np.arange(len(sequence)))
    pairs = pd.DataFrame({"station": levels.station, "sequence": own})
    return pairs.groupby(["station", "sequence"], sort=False).ngroup().to_numpy(dtype=np.int32)


def _texts(texts: np.ndarray, index: Int[np.ndarray, " p"]) -> pd.api.extensions.ExtensionArray:
    """Texts at positions, a column that is not copied text by text."""
    return pd.array(pa.array(texts.astype(object)).take(pa.array(index)), dtype="str")


def _types(kind: Int[np.ndarray, " p"], wind: Bool[np.ndarray, " p"]) -> Int[np.ndarray, " p"]:
    single = kind % 100 + np.where(wind, 200, 100)
    return np.where((kind >= 300) & (kind < 600), single, kind)


def _times(cycle: np.datetime64, hours: np.ndarray) -> np.ndarray:
    seconds = np.round(3600.0 * np.nan_to_num(hours))
    return cycle + seconds.astype("timedelta64[s]").astype("timedelta64[ns]")


def _integers(values: np.ndarray) -> Int[np.ndarray, " k"]:
    return np.where(np.isfinite(values), values, NONE).astype(np.int16)
