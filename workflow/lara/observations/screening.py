"""Screening before any assimilation: which rows of a table are not to be used, and why (PreQC).

A check looks only at rows that are still good, so that each datum carries the first reason against it:

    missing value or error  →  blacklist  →  bounds of the atmosphere  →  climatology  →  duplicates  →  thinning

A variable many of whose values are beyond all bounds has no bad rows but other units, and is refused as a whole.
Climatology comes before duplicates so that of two conflicting rows a gross error is not the one that is kept.
The functions are pure: they return another table, its rows in the same order (superobservations at the end).
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float

from lara.bounds import bounds
from lara.observations.flags import Flag
from lara.observations.operators import observed_variables
from lara.observations.table import PRESSURE, STATION, TIME
from lara.observations.thinning import Thinning
from lara.variables import VARIABLES

BLACKLIST_COLUMNS = ("station", "variable", "begin", "end")
OTHER_UNITS = 0.25  # of a variable's rows beyond what the atmosphere does, and of several values


@dataclass(frozen=True)
class Entry:
    """A line of a blacklist: a station, all or one of its variables, from `begin` until before `end` (UTC)."""

    station: str
    variable: str | None = None
    begin: np.datetime64 | None = None
    end: np.datetime64 | None = None


@dataclass(frozen=True)
class Climate:
    """What is usual at every row of a table: mean and standard deviation (SI), and how many of them are too many."""

    mean: Float[np.ndarray, " p"]
    std: Float[np.ndarray, " p"]
    threshold: float


def screen(
    table: pd.DataFrame,
    blacklist: tuple[Entry, ...] = (),
    climate: Climate | None = None,
    thinning: Thinning | None = None,
) -> pd.DataFrame:
    """All checks in their order; without a climate or a thinning that one is skipped."""
    table = plausible(blacklisted(missing(table), blacklist))
    if climate is not None:
        table = gross(table, climate)
    table = duplicates(table)
    return table if thinning is None else thinning(table)


def missing(table: pd.DataFrame) -> pd.DataFrame:
    """MISSING where value or error is NaN or infinite; such an error becomes infinite, as `table.validate` asks."""
    no_error = ~np.isfinite(table["ObsError"].to_numpy())
    table = _flagged(table, Flag.MISSING, no_error | ~np.isfinite(table["ObsValue"].to_numpy()))
    return table.assign(ObsError=np.where(no_error, np.inf, table["ObsError"]))


def blacklisted(table: pd.DataFrame, entries: tuple[Entry, ...]) -> pd.DataFrame:
    """BLACK where an entry names the station, and where it does so the variable and the time."""
    bad = pd.Series(False, table.index)
    for entry in entries:
        hit = table[STATION] == entry.station
        if entry.variable is not None:
            hit = hit & (table["variable"] == entry.variable)
        if entry.begin is not None:
            hit = hit & (table[TIME] >= entry.begin)
        if entry.end is not None:
            hit = hit & (table[TIME] < entry.end)
        bad = bad | hit
    return _flagged(table, Flag.BLACK, bad.to_numpy(dtype=bool))


def plausible(table: pd.DataFrame) -> pd.DataFrame:
    """IMPLAUSIBLE where a value is beyond what the atmosphere does (`lara.bounds`), as −9999 for a missing value is.

    ValueError naming a variable whose values are in other units: a quarter of its rows or more are beyond, and
    differ, which stand-ins do not.
    """
    value, pressure, names = table["ObsValue"].to_numpy(), table[PRESSURE].to_numpy() / 100, table["variable"]
    beyond, good = np.zeros(len(table), dtype=bool), _good(table)
    for name in names[good].unique():
        own = good & (names == name).to_numpy()
        low, high = bounds(name, pressure)
        bad = own & ((value < low) | (value > high))
        if bad.sum() >= OTHER_UNITS * own.sum() and len(np.unique(value[bad])) > 2:
            raise ValueError(_other_units(name, table[bad], int(own.sum())))
        beyond |= bad
    return _flagged(table, Flag.IMPLAUSIBLE, beyond)


def _other_units(name: str, bad: pd.DataFrame, count: int) -> str:
    units = f" ({VARIABLES[name].units})" if name in VARIABLES else ""
    values = bad["ObsValue"]
    return (
        f"{len(bad)} of {count} data of {name}{units} from {bad[TIME].min()} to {bad[TIME].max()} are beyond what the "
        f"atmosphere does, from {values.min():g} to {values.max():g}: bring them to the units of the table, or "
        "blacklist their stations"
    )


def gross(table: pd.DataFrame, climate: Climate) -> pd.DataFrame:
    """BOUNDS where |y - mean| > threshold * std. ValueError when a good row has no climate to compare with."""
    if not len(climate.mean) == len(climate.std) == len(table):
        raise ValueError(
            f"climate of {len(climate.mean)} means and {len(climate.std)} stds for {len(table)} rows: give one to each"
        )
    unknown = _good(table) & ~(np.isfinite(climate.mean) & np.isfinite(climate.std) & (climate.std > 0))
    if unknown.any():
        row = int(np.flatnonzero(unknown)[0])
        raise ValueError(
            f"climate at row {row}: mean {climate.mean[row]}, std {climate.std[row]}; "
            "the mean must be finite and the std positive, or the row be flagged already"
        )
    departure = np.abs(table["ObsValue"].to_numpy() - climate.mean)
    return _flagged(table, Flag.BOUNDS, departure > climate.threshold * climate.std)


def duplicates(table: pd.DataFrame) -> pd.DataFrame:
    """Of all rows of one station, variable, time and pressure the first is kept.

    The others are flagged DUPLICATE where they repeat its value and CONFLICT where they do not.
    """
    good, key = _good(table), [STATION, "variable", TIME, PRESSURE]
    rows = table[good]
    repeated = rows.duplicated(key).to_numpy()
    first = rows.groupby(key, dropna=False, sort=False)["ObsValue"].transform("first")
    same = (rows["ObsValue"] == first).to_numpy()
    flags = table["PreQC"].to_numpy(dtype=np.int64, copy=True)
    flags[good] = np.select([repeated & same, repeated], [Flag.DUPLICATE, Flag.CONFLICT], Flag.PASS)
    return table.assign(PreQC=flags)


def _good(table: pd.DataFrame) -> Bool[np.ndarray, " p"]:
    return (table["PreQC"] == Flag.PASS).to_numpy()


def _flagged(table: pd.DataFrame, flag: Flag, bad: Bool[np.ndarray, " p"]) -> pd.DataFrame:
    return table.assign(PreQC=np.where(_good(table) & bad, int(flag), table["PreQC"]).astype(np.int64))


def read_blacklist(path: Path) -> tuple[Entry, ...]:
    """The entries of a CSV file with the columns `station` and, where wanted, `variable`, `begin`, `end`.

    An empty cell does not restrict; times are ISO 8601, UTC unless they say otherwise. FileNotFoundError when absent,
    ValueError with file and line for anything else.
    """
    if not path.exists():
        raise FileNotFoundError(f"no blacklist {path}: correct quality_control.blacklist, or set it to null")
    with path.open(newline="", encoding="utf-8-sig") as file:
        return tuple(_entries(csv.DictReader(file, restkey="", restval=""), path))


def _entries(lines: csv.DictReader, path: Path) -> Iterator[Entry]:
    columns = list(lines.fieldnames or [])
    unknown = [column for column in columns if column not in BLACKLIST_COLUMNS]
    if unknown or "station" not in columns or len(set(columns)) < len(columns):
        raise ValueError(
            f"{path}, line 1: the columns are {columns}; a blacklist has `station` and at most {BLACKLIST_COLUMNS[1:]}"
        )
    for line in lines:
        try:
            yield _entry(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {lines.line_num}: {error}") from None


def _entry(line: dict[str, str]) -> Entry:
    if "" in line:
        raise ValueError(f"{line['']} lie beyond the last column: remove them, or quote a cell that holds a comma")
    cells = {column: cell.strip() for column, cell in line.items()}
    station, variable = cells["station"], cells.get("variable") or None
    begin, end = (_moment(cells.get(column, "")) for column in ("begin", "end"))
    if not station:
        raise ValueError("no station: name one")
    known = observed_variables()
    if variable is not None and variable not in known:
        raise ValueError(f"variable '{variable}' is unknown: use one of {known}, or leave it empty for all")
    if begin is not None and end is not None and end <= begin:
        raise ValueError(f"end {end} is not after begin {begin}: correct either")
    return Entry(station, variable, begin, end)


def _moment(text: str) -> np.datetime64 | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"'{text}' is no time: write it like 2001-03-30 or 2001-03-30T06:00") from None
    utc = moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    return np.datetime64(utc, "ns")
