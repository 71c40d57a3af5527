"""NNJA parquet: Brightband's tables of NCEP's raw dumps, a column for each value and mandatory level.

Sondes (NC002001) have `TMDB_PRLC50000` for the temperature at 500 hPa, stations their groups' names (`TMPSQ1.TMDB`).
Dumps have neither errors nor types: SDM's marks alone.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from lara import receipts
from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Ledger, Reading, Settings

PARQUET = b"PAR1"
PLACE = ("OBS_TIMESTAMP", "LAT", "LON")
LEVEL = re.compile(r"([A-Z0-9]+)_PRLC(\d+)")
ALOFT = {"t": ("TMDB", "QMAT"), "td": ("TMDP", "QMDD"), "speed": ("WSPD", "QMWN"), "direction": ("WDIR", None)}
ALOFT |= {"z": ("GP10", "QMGP")}
STATIONS = {  # by variable the columns of value and mark, of SYNOP and SHIP, METAR and SYNOP in BUFR
    "t": (("TMPSQ1.TMDB", "TMPSQ1.QMAT"), ("MTRTMP.TMDB", "MTRTMP.QMAT"), ("TEMHUMDA.TMDB", "QMAT")),
    "td": (("TMPSQ1.TMDP", "TMPSQ1.QMDD"), ("MTRTMP.TMDP", "MTRTMP.QMDD"), ("TEMHUMDA.TMDP", "QMDD")),
    "speed": (("WNDSQ1.WSPD", "WNDSQ1.QMWN"), ("MTRWND.WSPD", "MTRWND.QMWN"), ("BSYWND1.WSPD", "QMWN")),
    "direction": (("WNDSQ1.WDIR", None), ("MTRWND.WDIR", None), ("BSYWND1.WDIR", None)),
    "ps": (("PRSSQ1.PRES", "PRSSQ1.QMPR"), ("PRESDATA.PRESSQ03.PRES", "QMPR")),
    "msl": (("PRSSQ1.PMSL", "PRSSQ1.QMPR"), ("PRESDATA.PRESSQ03.PMSL", "QMPR")),
}
MISSING = 1e10  # from there on
SONDE, LAND, METAR = 120, 181, 187


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is parquet with the columns that all of NNJA's have."""
    from pyarrow import ArrowInvalid, parquet

    if not head.startswith(PARQUET):
        return False
    try:
        return set(PLACE) <= set(parquet.read_schema(path).names)
    except (ArrowInvalid, OSError):
        return False


def read(path: Path, settings: Settings) -> Reading:
    """The reports of a file of NNJA's. ValueError names the file and what it lacks."""
    from pyarrow import ArrowException

    receipts.require_whole(path)
    try:
        rows = pd.read_parquet(path)
    except (ArrowException, OSError, ValueError) as error:
        raise ValueError(f"{path}: no whole parquet ({error}): fetch the file again") from error
    common = _common(rows, settings)
    levels = _aloft(rows, common) if any(LEVEL.fullmatch(name) for name in rows) else _stations(rows, common)
    if levels is None:
        raise ValueError(f"{path}: no column of a value that is read among {list(rows)[:12]}")
    levels = wide.numbered(levels, ["report"])
    table = wide.to_reports(levels, settings)
    ledger = Ledger("nnja", 1, len(rows), len(levels), wide.marks(table), wide.lost(levels, table))
    return Reading(table, ledger)


def _common(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """What all levels of a report share."""
    moment = pd.to_datetime(rows["OBS_TIMESTAMP"], utc=True).dt.tz_localize(None).dt.as_unit("ns")
    aloft = any(LEVEL.fullmatch(name) for name in rows)
    kind = settings.kind or (SONDE if aloft else METAR if "MTRTMP.TMDB" in rows else LAND)
    latitude, longitude = rows["LAT"].astype(np.float64), rows["LON"].astype(np.float64) % 360
    return pd.DataFrame(
        {
            "report": np.arange(len(rows)),
            STATION: rows.get("RPID", pd.Series("", rows.index)).astype(str).str.strip(),
            reports.TYPE: kind,
            TIME: moment,
            reports.RELEASE_TIME: moment,
            reports.CYCLE: reports.cycle_of(moment),
            LATITUDE: latitude,
            LONGITUDE: longitude,
            reports.RELEASE_LATITUDE: latitude,
            reports.RELEASE_LONGITUDE: longitude,
            reports.ELEVATION: _numbers(rows, "SELV"),
            PRESSURE: np.nan,
        }
    )


def _numbers(rows: pd.DataFrame, name: str | None) -> pd.Series:
    if name not in rows:
        return pd.Series(np.nan, rows.index)
    values = pd.to_numeric(rows[name], errors="coerce").astype(np.float64)
    return values.where(values < MISSING)


def _aloft(rows: pd.DataFrame, common: pd.DataFrame) -> pd.DataFrame:
    """A row for each report and pressure at which it has a value, from the ground upwards."""
    pressures = sorted({int(match[2]) for name in rows if (match := LEVEL.fullmatch(name))}, reverse=True)
    parts = []
    for pressure in pressures:
        part = common.assign(**{PRESSURE: float(pressure)})
        for name, (value, mark) in ALOFT.items():
            part[name] = _numbers(rows, f"{value}_PRLC{pressure}")
            if mark is not None:
                part[wide.MARK + name] = _numbers(rows, f"{mark}_PRLC{pressure}")
        parts.append(part[part[list(ALOFT)].notna().any(axis=1)])
    levels = pd.concat(parts).sort_values(["report", PRESSURE], ascending=[True, False], kind="stable")
    return levels.assign(**{reports.HEIGHT: levels["z"] / reports.GRAVITY}).reset_index(drop=True)


def _stations(rows: pd.DataFrame, common: pd.DataFrame) -> pd.DataFrame | None:
    levels, found = common, False
    for name, known in STATIONS.items():
        value, mark = next((pair for pair in known if pair[0] in rows), (None, None))
        if value is None:
            continue
        found = True
        levels = levels.assign(**{name: _numbers(rows, value)})
        if mark is not None:
            levels = levels.assign(**{wide.MARK + name: _numbers(rows, mark)})
    return levels if found else None
