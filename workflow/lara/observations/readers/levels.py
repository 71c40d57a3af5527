"""Levels to reports: a table of one row per level, as most formats have it, becomes one of a row per datum.

A reader gives columns of reports and, in SI units, what was observed:

    t tv td q rh u v direction speed z ps msl      (rh a share, direction in degrees from north)

and perhaps, under "mark ", "error " or "background " and such a name, what its provider says of it. Dew point and
relative humidity become specific humidity (over water, as WMO has them), direction and speed become components of
wind. The type is that of mass; wind gets the one greater by a hundred.
"""

import numpy as np
import pandas as pd
from jaxtyping import Float

from lara.observations import humidity, reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, TIME
from lara.observations.flags import Flag
from lara.observations.readers.settings import MARK_COLUMNS, Settings
from lara.observations.reports import NONE, TYPE, Coordinate, Origin
from lara.observations.status import judged

WINDS = ("u", "v")
OBSERVED = ("t", "tv", "q", "u", "v", "z", "ps", "msl")
MARK, ERROR, BACKGROUND = "mark ", "error ", "background "


def to_reports(levels: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """The reports of levels, judged; ValueError for values that are beyond what a report may hold."""
    levels = _derived(levels[placed(levels)].reset_index(drop=True))
    ground = (levels[TYPE] % 100 >= 80).to_numpy()
    parts = [_part(levels, name, ground, settings) for name in OBSERVED if name in levels]
    table = pd.concat([part for part in parts if len(part)], ignore_index=True) if any(map(len, parts)) else None
    if table is None:
        return reports.make({}, 0)
    table = table.sort_values(["at", "order"], kind="stable").drop(columns=["at", "order"])
    return judged(reports.make(dict(table.reset_index(drop=True)), len(table)), settings.policy)


def placed(levels: pd.DataFrame) -> pd.Series:
    """Which levels have a place on the globe and a time; the others can be compared with nothing."""
    return levels[LATITUDE].between(-90, 90) & levels[LONGITUDE].between(0, 360, "left") & levels[TIME].notna()


def marks(table: pd.DataFrame) -> pd.DataFrame:
    """Counts of reports by type, variable and mark, as a ledger holds them."""
    key = [TYPE, "variable", reports.MARK]
    counted = table.groupby(key).size().reset_index()
    return counted.set_axis(MARK_COLUMNS, axis=1)


def lost(levels: pd.DataFrame, table: pd.DataFrame) -> dict[str, int]:
    """Counts of what was given in a form that nothing can be made of, in words."""
    counts = table["variable"].value_counts()
    humid = [name for name in ("td", "rh", "q") if name in levels]
    windy = [name for name in ("speed", "u") if name in levels]
    given = {
        "humidities without a pressure or temperature": (humid, ("q", "q2m")),
        "winds without a direction": (windy, ("u", "u10")),
    }
    nowhere = int((~placed(levels)).sum())
    levels = levels[placed(levels)]
    missing = {
        words: int(levels[columns].notna().any(axis=1).sum()) - sum(int(counts.get(name, 0)) for name in names)
        for words, (columns, names) in given.items()
        if columns
    }
    missing["levels without a place or time"] = nowhere
    return {words: count for words, count in missing.items() if count}


def numbered(levels: pd.DataFrame, key: list[str]) -> pd.DataFrame:
    """Levels with the number of their ascent, of their report and in it, by the columns that tell reports apart."""
    report = levels.groupby(key, sort=False, dropna=False).ngroup()
    number = levels.groupby(report).cumcount()
    return levels.assign(**{reports.ASCENT: report, reports.REPORT: report, reports.LEVEL: number})


def _derived(levels: pd.DataFrame) -> pd.DataFrame:
    """The same with specific humidity and components of wind, and no pressure that is not positive."""
    levels = levels.assign(**{PRESSURE: levels[PRESSURE].where(levels[PRESSURE] > 0)})
    if "speed" in levels:
        towards = np.deg2rad(levels["direction"])
        wind = {"u": -levels["speed"] * np.sin(towards), "v": -levels["speed"] * np.cos(towards)}
        levels = levels.assign(**{name: _first(levels, name, values) for name, values in wind.items()})
        if MARK + "speed" in levels:
            levels = levels.assign(
                **{MARK + name: _first(levels, MARK + name, levels[MARK + "speed"]) for name in WINDS}
            )
    for source, needed in (("td", "td"), ("rh", "t")):
        if source in levels and needed in levels:
            pressure = levels[PRESSURE].fillna(levels["ps"]) if "ps" in levels else levels[PRESSURE]
            derived = humidity.of_vapour(_vapour(levels, source), pressure)
            levels = levels.assign(q=_first(levels, "q", derived))
            if MARK + source in levels:
                levels = levels.assign(**{MARK + "q": _first(levels, MARK + "q", levels[MARK + source])})
    return levels


def _vapour(levels: pd.DataFrame, source: str) -> pd.Series:
    if source == "td":
        return humidity.over_water(levels["td"])
    return levels["rh"] * humidity.over_water(levels["t"])


def _first(levels: pd.DataFrame, name: str, values: pd.Series) -> pd.Series:
    """What was observed itself, and what is derived where that is missing."""
    return levels[name].fillna(values) if name in levels else values


def _part(levels: pd.DataFrame, name: str, ground: np.ndarray, settings: Settings) -> pd.DataFrame:
    """The rows of one variable, with their level and order for sorting."""
    own = np.flatnonzero(np.isfinite(levels[name].to_numpy(dtype=np.float64)))
    rows = levels.iloc[own]
    names = np.where(ground[own], reports.AT_GROUND.get(name, name), name).astype(object)
    kind = rows[TYPE].to_numpy(dtype=np.int64)
    known = {column: rows[column].to_numpy() for column in reports.COLUMNS if column in rows}
    made = {
        reports.SOURCE_TYPE: NONE,
        reports.ORIGIN: np.where(np.isfinite(rows[PRESSURE]), Origin.REPORTED, Origin.ABSENT),
        "MetaData/restriction": 0,
        **known,
        TYPE: np.where((kind < 200) & (name in WINDS), kind + 100, kind),
        reports.COORDINATE: _coordinates(names, rows),
        "variable": names,
        "ObsValue": rows[name].to_numpy(dtype=np.float64),
        "FileBackground": _beside(rows, BACKGROUND + name, np.nan).to_numpy(dtype=np.float64),
        "at": own,
        "order": [reports.NAMES.index(one) for one in names],
    }
    return pd.DataFrame(made | _quality(rows, name, names, settings), index=range(len(own)))


def _quality(rows: pd.DataFrame, name: str, names: np.ndarray, settings: Settings) -> dict[str, np.ndarray]:
    """Mark, error and flag of the rows of a variable."""
    mark = _beside(rows, MARK + name, NONE).clip(NONE, 15).to_numpy(dtype=np.int64)
    error = _beside(rows, ERROR + name, np.inf).to_numpy(dtype=np.float64)
    return quality(mark, error, names, settings)


def quality(mark: np.ndarray, error: np.ndarray, names: np.ndarray, settings: Settings) -> dict[str, np.ndarray]:
    """Columns of marks, errors and flags: an error that is none becomes that of the settings for a variable's name."""
    error = np.where(np.isfinite(error) & (error > 0), error, [settings.errors.get(one, np.inf) for one in names])
    flag = np.select([mark > settings.greatest_mark, np.isinf(error)], [Flag.PREQC, Flag.NO_ERROR], Flag.PASS)
    return {reports.MARK: mark, "ObsError": error, "PreQC": flag}


def _beside(rows: pd.DataFrame, column: str, filling: float) -> pd.Series:
    values = rows.get(column)
    return pd.Series(filling, rows.index) if values is None else values.fillna(filling)


def _coordinates(names: np.ndarray, rows: pd.DataFrame) -> Float[np.ndarray, " k"]:
    by_pressure = np.isfinite(rows[PRESSURE].to_numpy(dtype=np.float64))
    aloft = np.where(by_pressure, Coordinate.PRESSURE, Coordinate.HEIGHT)
    return np.where(np.isin(names, list(reports.NEAR_GROUND)), Coordinate.GROUND, aloft)
