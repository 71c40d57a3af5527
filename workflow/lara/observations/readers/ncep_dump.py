"""NCEP's raw dumps of upper-air reports (NC002001 to NC002005, NC002101 to NC002104), with SDM's marks.

An ascent comes in parts (TTAA, TTBB, …), each a report of its own; parts of one station and hour are joined here.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lara import receipts
from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import frames
from lara.observations.readers import levels as wide
from lara.observations.readers.nested import flattened, path_to, singles
from lara.observations.readers.settings import Ledger, Reading, Settings

UPPER_AIR = 2  # data category
SONDE, PILOT = 120, 221
VALUES = {PRESSURE: "PRLC", "t": "TMDB", "td": "TMDP", "direction": "WDIR", "speed": "WSPD"}
CLOCK = {"YEAR": "year", "MNTH": "month", "DAYS": "day", "HOUR": "hour", "MINU": "minute", "SECO": "second"}
PLACE = {  # in dumps of bulletins and of BUFR
    reports.RELEASE_LATITUDE: ("CLAT", "CLATH"),
    reports.RELEASE_LONGITUDE: ("CLON", "CLONH"),
    reports.ELEVATION: ("SELV", "HSMSL"),
}
DRIFT = ("LATDH", "LONDH", "LTDS")  # degrees north and east, and seconds, since the release
MARKS = {"t": "QMAT", "td": "QMDD", "speed": "QMWN", "z": "QMGP"}


def recognises(head: bytes, path: Path) -> bool:
    """Whether tables of NCEP come first and no message after them is of PrepBUFR."""
    if not frames.begins_with_dictionary(head):
        return False
    try:
        return any(frame.category == UPPER_AIR for frame in frames.data(frames.walk(path.read_bytes())))
    except ValueError:
        return False


def read(path: Path, settings: Settings) -> Reading:
    """The reports of a dump. ValueError names the file and, where it is damaged, the byte."""
    import earth2bufr

    receipts.require_whole(path)
    try:
        walked = frames.walk(path.read_bytes())
        batches = [batch.to_struct_array() for batch in earth2bufr.read_bufr(path)]
        parts = [_levels(batch) for batch in batches]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    sent = pd.concat(parts, ignore_index=True)
    levels = _joined(sent)
    table = wide.to_reports(levels, settings)
    if not len(table):
        raise ValueError(f"{path}: none of its {len(sent)} levels has a value, a place and a time")
    subsets = sum(frame.subsets for frame in frames.data(walked))
    remarks = {"levels sent twice": len(sent) - len(levels)} | wide.lost(levels, table)
    return Reading(table, Ledger("ncep_dump", len(walked), subsets, len(levels), wide.marks(table), remarks))


def _levels(batch: pa.StructArray) -> pd.DataFrame:
    """All levels of all parts, where and when a balloon was at each if that was sent."""
    path = path_to(batch.type, "PRLC")
    if len(path) < 2:
        raise ValueError("no levels with a pressure (PRLC): it is no dump of upper-air reports")
    report, array = flattened(batch.field(path[0]))
    found = singles(array, (*VALUES.values(), *MARKS.values(), *DRIFT, "GP10", "GP07"))
    height = np.where(np.isfinite(found["GP10"]), found["GP10"], reports.GRAVITY * found["GP07"])
    columns = {name: found[mnemonic] for name, mnemonic in VALUES.items()} | {"z": height}
    columns |= {wide.MARK + name: found[mnemonic] for name, mnemonic in MARKS.items()}
    shared = _headers(batch).iloc[report].reset_index(drop=True)
    north, east, seconds = (np.nan_to_num(found[mnemonic]) for mnemonic in DRIFT)
    own = {
        LATITUDE: shared[reports.RELEASE_LATITUDE] + north,
        LONGITUDE: shared[reports.RELEASE_LONGITUDE] + east,
        TIME: shared[reports.RELEASE_TIME] + pd.to_timedelta(np.clip(seconds, 0, None), unit="s"),
    }
    return pd.DataFrame(columns).join(shared).assign(**own)


def _headers(batch: pa.StructArray) -> pd.DataFrame:
    """Place, time and name of every part; NaN and NaT where it has none."""
    known = singles(batch, (*CLOCK, *(name for names in PLACE.values() for name in names)))
    place = {column: np.where(np.isfinite(known[old]), known[old], known[new]) for column, (old, new) in PLACE.items()}
    clock = pd.DataFrame({word: known[name] for name, word in CLOCK.items()})
    moment = pd.to_datetime(clock[["year", "month", "day", "hour"]], errors="coerce").dt.as_unit("ns")
    moment += pd.to_timedelta(60 * clock["minute"].fillna(0) + clock["second"].fillna(0), unit="s")
    station = np.char.strip(batch.field("RPID").to_numpy(zero_copy_only=False).astype("U8"))
    times = {reports.RELEASE_TIME: moment, reports.CYCLE: reports.cycle_of(moment)}
    return pd.DataFrame(place).assign(**times, **{STATION: station.astype(object)})


def _joined(levels: pd.DataFrame) -> pd.DataFrame:
    """Ascents put together of their parts, levels from the ground upwards, none twice."""
    placed = levels.assign(**{LONGITUDE: levels[LONGITUDE] % 360}).drop_duplicates()
    key = [STATION, reports.RELEASE_TIME]
    place = placed.groupby(key)[[reports.RELEASE_LATITUDE, reports.RELEASE_LONGITUDE]].transform("first")
    wind_only = placed.groupby(key)["t"].transform("count") == 0
    placed = placed.assign(
        **{
            reports.TYPE: np.where(wind_only, PILOT, SONDE),
            reports.RELEASE_LATITUDE: place[reports.RELEASE_LATITUDE],
            reports.RELEASE_LONGITUDE: place[reports.RELEASE_LONGITUDE] % 360,
            reports.HEIGHT: placed["z"] / reports.GRAVITY,
        }
    )
    ordered = placed.sort_values([*key, PRESSURE], ascending=[True, True, False], kind="stable", na_position="last")
    return wide.numbered(ordered, key)
