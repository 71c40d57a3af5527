"""NCEP's raw dumps of upper-air reports (NC002001 to NC002005): TEMP and PILOT as they came, with SDM's marks.

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
    subsets = sum(frame.subsets for frame in frames.data(walked))
    remarks = {"levels sent twice": len(sent) - len(levels)} | wide.lost(levels, table)
    return Reading(table, Ledger("ncep_dump", len(walked), subsets, len(levels), wide.marks(table), remarks))


def _levels(batch: pa.StructArray) -> pd.DataFrame:
    """All levels of all parts."""
    path = path_to(batch.type, "PRLC")
    if len(path) < 2:
        raise ValueError("no levels with a pressure (PRLC): it is no dump of upper-air reports")
    report, array = flattened(batch.field(path[0]))
    found = singles(array, (*VALUES.values(), *MARKS.values(), "GP10", "GP07"))
    values = {name: found[mnemonic] for name, mnemonic in VALUES.items()}
    height = np.where(np.isfinite(found["GP10"]), found["GP10"], 9.80665 * found["GP07"])
    marks = {wide.MARK + name: found[mnemonic] for name, mnemonic in MARKS.items()}
    header = pd.DataFrame(singles(batch, ("YEAR", "MNTH", "DAYS", "HOUR", "CLAT", "CLON", "SELV")))
    header = header.set_axis(["year", "month", "day", "hour", LATITUDE, LONGITUDE, reports.ELEVATION], axis=1)
    moment = pd.to_datetime(header[["year", "month", "day", "hour"]], errors="coerce").dt.as_unit("ns")
    station = np.char.strip(batch.field("RPID").to_numpy(zero_copy_only=False).astype("U8"))
    shared = header[[LATITUDE, LONGITUDE, reports.ELEVATION]].assign(
        **{
            TIME: moment,
            reports.RELEASE_TIME: moment,
            reports.CYCLE: moment.dt.round("6h"),
            STATION: station.astype(object),
        }
    )
    return pd.DataFrame(values | marks | {"z": height}).join(shared.iloc[report].reset_index(drop=True))


def _joined(levels: pd.DataFrame) -> pd.DataFrame:
    """Ascents put together of their parts, levels from the ground upwards, none twice."""
    placed = levels.assign(**{LONGITUDE: levels[LONGITUDE] % 360}).drop_duplicates()
    key = [STATION, reports.RELEASE_TIME]
    place = placed.groupby(key)[[LATITUDE, LONGITUDE]].transform("first")
    wind_only = placed.groupby(key)["t"].transform("count") == 0
    placed = placed.assign(
        **{
            reports.TYPE: np.where(wind_only, PILOT, SONDE),
            reports.RELEASE_LATITUDE: place[LATITUDE],
            reports.RELEASE_LONGITUDE: place[LONGITUDE],
            reports.HEIGHT: placed["z"] / 9.80665,
        }
    )
    ordered = placed.sort_values([*key, PRESSURE], ascending=[True, True, False], kind="stable", na_position="last")
    return wide.numbered(ordered, key)
