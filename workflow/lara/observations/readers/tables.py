"""Tables of the user's: parquet or CSV, with `Settings.columns` saying which column is which.

A long table has a row per datum, with the columns of reports that it knows: at least `variable`, `ObsValue`, place and
time. A wide one has a row per level, with columns of `levels` (t, u, v, …). A type comes from a column or `kind`.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from lara import receipts
from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Ledger, Reading, Settings
from lara.observations.reports import COLUMNS, NONE, TYPE, Coordinate, Origin
from lara.observations.status import judged

NEEDED = (STATION, TIME, LATITUDE, LONGITUDE)
PARQUET = b"PAR1"
WIDE = (*wide.OBSERVED, "td", "rh", "speed", "direction")


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file is parquet, or named as CSV."""
    return head.startswith(PARQUET) or path.suffix == ".csv"


def read(path: Path, settings: Settings) -> Reading:
    """The reports of a table. ValueError names the file and the columns it lacks, or a bad row."""
    receipts.require_whole(path)
    try:
        rows = _rows(path, settings)
        table = _long(rows, settings) if "variable" in rows else wide.to_reports(_shared(rows), settings)
        table = reports.validate(table)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{path}: {error}") from error
    levels = len(table.drop_duplicates([reports.REPORT, reports.LEVEL]))
    return Reading(table, Ledger("table", 1, table[reports.REPORT].nunique(), levels, wide.marks(table)))


def _rows(path: Path, settings: Settings) -> pd.DataFrame:
    """The rows under the names of reports, with a time in UTC."""
    rows = pd.read_parquet(path) if path.read_bytes()[:4] == PARQUET else pd.read_csv(path)
    unknown = [name for name in settings.columns if name not in rows]
    if unknown:
        raise ValueError(f"no column(s) {unknown}, which `columns` maps: it has {list(rows)[:20]}")
    rows = rows.rename(columns=dict(settings.columns))
    missing = [name for name in NEEDED if name not in rows]
    if missing or not ("variable" in rows or set(WIDE) & set(rows)):
        raise ValueError(
            f"columns {missing or ['variable']} are missing: map columns to them by `columns`; it has {list(rows)[:20]}"
        )
    if TYPE not in rows and settings.kind is None:
        raise ValueError(f"no column {TYPE}: map one to it, or name the type of its reports as `kind`, 120 for sondes")
    moment = pd.to_datetime(rows[TIME], utc=True).dt.tz_localize(None).dt.as_unit("ns")
    rows = rows.assign(**{TIME: moment, LONGITUDE: rows[LONGITUDE].astype(np.float64) % 360})
    return rows if TYPE in rows else rows.assign(**{TYPE: settings.kind})


def _shared(rows: pd.DataFrame) -> pd.DataFrame:
    """The same with a report's time, place and number where the table has none."""
    known = {
        reports.RELEASE_TIME: rows[TIME],
        reports.CYCLE: reports.cycle_of(rows[TIME]),
        reports.RELEASE_LATITUDE: rows[LATITUDE],
        reports.RELEASE_LONGITUDE: rows[LONGITUDE],
        PRESSURE: np.nan,
    }
    rows = rows.assign(**{name: values for name, values in known.items() if name not in rows})
    return rows if reports.REPORT in rows else wide.numbered(rows, [STATION, reports.RELEASE_TIME])


def _long(rows: pd.DataFrame, settings: Settings) -> pd.DataFrame:
    """Rows that are data already: what they lack is filled in, and they are judged."""
    rows = _shared(rows[rows["ObsValue"].notna()].reset_index(drop=True))
    given = pd.Series(np.inf, rows.index) if "ObsError" not in rows else rows["ObsError"].fillna(np.inf)
    mark = pd.Series(NONE, rows.index) if reports.MARK not in rows else rows[reports.MARK].fillna(NONE)
    quality = wide.quality(mark.to_numpy(), given.to_numpy(), rows["variable"].to_numpy(), settings)
    ground = rows["variable"].isin(reports.NEAR_GROUND)
    coordinate = np.select(
        [ground, rows[PRESSURE].notna()], [Coordinate.GROUND, Coordinate.PRESSURE], Coordinate.HEIGHT
    )
    made = {
        reports.SOURCE_TYPE: NONE,
        reports.COORDINATE: coordinate,
        reports.ORIGIN: np.where(rows[PRESSURE].notna(), Origin.REPORTED, Origin.ABSENT),
        "MetaData/restriction": 0,
        **quality,
        **{name: rows[name] for name in COLUMNS if name in rows and name not in ("ObsError", reports.MARK)},
    }
    return judged(reports.make(made, len(rows)), settings.policy)
