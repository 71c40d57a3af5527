"""ODB-2: the rows of ECMWF's and the Met Office's feedback, one per datum, by pyodc.

Variables are numbered (varno), names of columns end with that of their table (`lat@hdr`). A datum is active, passive,
rejected or blacklisted by bits of `datum_status`, which become NCEP's marks 1, 15, 13 and 14. Types are NCEP's for
ECMWF's `obstype`; a file without needs `Settings.kind`.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from lara import receipts
from lara.bounds import bounds
from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Ledger, Reading, Settings

MAGIC = b"\xff\xffODA"
VARIABLES = {  # by varno, under the names of levels
    1: "z",
    2: "t",
    3: "u",
    4: "v",
    7: "q",
    29: "rh",
    39: "t",
    40: "td",
    41: "u",
    42: "v",
    58: "rh",
    59: "td",
    108: "msl",
    110: "ps",
    111: "direction",
    112: "speed",
}
TYPES = {1: 181, 2: 131, 4: 180, 5: 120, 6: 221}  # by obstype: SYNOP, AIREP, DRIBU, TEMP, PILOT
MARKS = ((8, 14), (4, 13), (1, 1), (2, 15))  # bit of datum_status, mark
MISSING = -2147483648.0
BY_PRESSURE, BY_HEIGHT = 1, 2  # vertco_type
NEEDED = ("lat", "lon", "date", "time", "seqno", "varno")


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file's first bytes are those of ODB-2."""
    return head.startswith(MAGIC)


def read(path: Path, settings: Settings) -> Reading:
    """The reports of an ODB-2 file. ValueError names the file and what it lacks."""
    receipts.require_whole(path)
    try:
        rows = _rows(path)
        levels = _levels(rows, settings)
    except (ValueError, KeyError, OSError, AssertionError, NotImplementedError) as error:
        raise ValueError(f"{path}: {error}") from error
    table = wide.to_reports(levels, settings)
    others = rows.loc[~rows["varno"].isin(VARIABLES), "varno"].value_counts()
    unread = {f"data of varno {varno}, which is not read": int(count) for varno, count in others.items()}
    return Reading(
        table,
        Ledger(
            "odb",
            1,
            levels[reports.REPORT].nunique(),
            len(levels),
            wide.marks(table),
            unread | wide.lost(levels, table),
        ),
    )


def _rows(path: Path) -> pd.DataFrame:
    """All rows under names without tables, NaN where missing. ValueError for a file that is cut or lacks a column."""
    import pyodc

    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the decoder's own, of pandas
            table = pyodc.read_odb(file, single=True)
    except Exception as error:  # the decoder raises whatever the damage leads to
        raise ValueError(f"no whole ODB-2 ({type(error).__name__}: {error}): fetch the file again") from error
    table.columns = [name.split("@")[0] for name in table.columns]
    table = table.loc[:, ~table.columns.duplicated()]
    value = next((name for name in ("obsvalue", "initial_obsvalue") if name in table and _given(table[name])), None)
    missing = [name for name in NEEDED if name not in table] + ([] if value else ["obsvalue"])
    if missing:
        raise ValueError(
            f"no column(s) {missing} with values among {list(table.columns)[:12]}: it holds no observations"
        )
    return table.assign(value=_numbers(table, value))


def _given(values: pd.Series) -> bool:
    return bool((pd.to_numeric(values, errors="coerce").fillna(MISSING) != MISSING).any())


def _numbers(table: pd.DataFrame, name: str | None) -> pd.Series:
    if name not in table:
        return pd.Series(np.nan, table.index)
    numbers = pd.to_numeric(table[name], errors="coerce").astype(np.float64)
    return numbers.where(numbers != MISSING)


def _levels(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """One row for each level of a report, its variables beside each other."""
    rows = rows[rows["varno"].isin(VARIABLES)]
    coordinate = _numbers(
        rows, next((name for name in rows if name.startswith(("vertco_reference_1", "initial_vertco"))), None)
    )
    kind = _numbers(rows, "vertco_type").fillna(BY_PRESSURE)
    background = (rows["value"] - _numbers(rows, "fg_depar")).fillna(_numbers(rows, "bgvalue"))
    long = pd.DataFrame({"": rows["value"], wide.ERROR: _numbers(rows, "obs_error"), wide.BACKGROUND: background})
    long = long.assign(**{wide.MARK: _marks(rows)}, variable=rows["varno"].map(VARIABLES))
    common = _common(rows, settings).assign(
        **{
            PRESSURE: coordinate.where((kind == BY_PRESSURE) & (coordinate > 0)),
            reports.HEIGHT: coordinate.where(kind == BY_HEIGHT),
        }
    )
    key = common.groupby(list(common), dropna=False, sort=False).ngroup()
    long = long.assign(level=key).drop_duplicates(["level", "variable"])
    spread = long.pivot(index="level", columns="variable")
    spread.columns = [f"{prefix}{name}" for prefix, name in spread.columns]
    levels = common[~key.duplicated()].set_index(key[~key.duplicated()]).join(spread)
    levels = levels[levels[[name for name in spread if " " not in name]].notna().any(axis=1)]
    return wide.numbered(_geopotential(levels.reset_index(drop=True)), ["report"]).drop(columns="report")


def _geopotential(levels: pd.DataFrame) -> pd.DataFrame:
    """Heights in metres, as the Met Office has them under the number of geopotential, made geopotential."""
    names = [name for name in ("z", f"{wide.ERROR}z", f"{wide.BACKGROUND}z") if name in levels]
    if "z" not in names:
        return levels
    low, _ = bounds("z", levels[PRESSURE].to_numpy() / 100)
    beneath = (levels["z"] < low).sum() > 0.25 * levels["z"].notna().sum()
    return levels.assign(**{name: reports.GRAVITY * levels[name] for name in names}) if beneath else levels


def _common(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """What the data of a level share."""
    clock = rows["time"].astype(np.int64)
    seconds = clock // 10000 * 3600 + clock // 100 % 100 * 60 + clock % 100
    moment = pd.to_datetime(rows["date"].astype(str)).dt.as_unit("ns") + pd.to_timedelta(seconds, unit="s")
    places = {reports.RELEASE_LATITUDE: _numbers(rows, "lat"), reports.RELEASE_LONGITUDE: _numbers(rows, "lon") % 360}
    return pd.DataFrame(
        {
            "report": rows["seqno"],
            STATION: rows.get("statid", pd.Series("", rows.index)).astype(str).str.strip(),
            reports.TYPE: _types(rows, settings),
            TIME: moment,
            reports.RELEASE_TIME: moment,
            reports.CYCLE: reports.cycle_of(moment),
            LATITUDE: places[reports.RELEASE_LATITUDE],
            LONGITUDE: places[reports.RELEASE_LONGITUDE],
            reports.ELEVATION: _numbers(rows, "stalt"),
            **places,
        }
    )


def _types(rows: pd.DataFrame, settings: Settings) -> pd.Series:
    known = _numbers(rows, "obstype").map(TYPES)
    if settings.kind is not None:
        known = known.fillna(settings.kind)
    if known.isna().any():
        raise ValueError(
            "rows without an obstype that is known: name the type of its reports as `kind`, 120 for sondes"
        )
    return known.astype(np.int64)


def _marks(rows: pd.DataFrame) -> pd.Series:
    status = _numbers(rows, "datum_status").fillna(0).astype(np.int64)
    chosen = np.select([(status & bit) > 0 for bit, _ in MARKS], [mark for _, mark in MARKS], reports.NONE)
    return pd.Series(chosen, rows.index)
