"""NCEP PrepBUFR: conventional observations with the marks, errors and background that GDAS gave them.

An observation is a stack of events, newest first, each with the program and reason that made it. Temperatures of most
sondes are virtual on top (program 8, VIRTMP) with the sensible one beneath. Errors of humidity are of relative
humidity, in tenths. The file is walked by frames first: the decoder (earth2bufr) drops what it cannot place.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from lara import receipts
from lara.observations import reports
from lara.observations.readers import frames, prepbufr_rows
from lara.observations.readers.frames import Frame
from lara.observations.readers.nested import gather, path_to
from lara.observations.readers.prepbufr_levels import Levels, levels_of
from lara.observations.readers.settings import MARK_COLUMNS, Ledger, Reading, Settings
from lara.observations.status import judged, without_twice

PADS = "LOCAL_0-63-255"  # bits that fill the last byte of a subset
MOST_PADS = 8
NEEDED = ("SID", "TYP", "DHR", "CAT", "POB")  # of a kind of message that has levels


def recognises(head: bytes, path: Path) -> bool:
    """Whether tables of NCEP come first."""
    return frames.begins_with_dictionary(head)


def read(path: Path, settings: Settings) -> Reading:
    """The reports of a PrepBUFR file. ValueError names the file and, where it is damaged, the byte."""
    receipts.require_whole(path)
    try:
        walked = frames.walk(path.read_bytes())
        levels, cycle = _decoded(path, walked, settings)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    parts = [prepbufr_rows.rows(one, cycle, settings) for one in levels]
    table = judged(reports.join(parts), settings.policy) if parts else reports.make({}, 0)
    return Reading(without_twice(table, settings.aircraft), _ledger(walked, levels))


def _decoded(path: Path, walked: list[Frame], settings: Settings) -> tuple[list[Levels], np.datetime64]:
    """The levels of each kind of message, and the time of the analysis they were made for."""
    import earth2bufr

    held = frames.data(walked)
    if not held or not frames.is_ncep(walked):
        raise ValueError("BUFR without NCEP's tables and reports: read it as format 'bufr'")
    batches = [batch.to_struct_array() for batch in earth2bufr.read_bufr(path)]
    if sum(map(len, batches)) != sum(frame.subsets for frame in held):
        raise ValueError(f"{sum(map(len, batches))} reports decoded of {sum(frame.subsets for frame in held)}")
    for number, batch in enumerate(batches):
        _require_ends(batch, held, batches[:number])
    known = [batch for batch in batches if all(path_to(batch.type, name) for name in NEEDED)]
    if not known:
        raise ValueError(f"NCEP BUFR without {NEEDED}: it is no PrepBUFR (a raw dump or a model's); name its format")
    return [levels_of(batch, settings) for batch in known], _cycle(earth2bufr.get_metadata(path))


def _require_ends(batch: pa.StructArray, held: list[Frame], before: list[pa.StructArray]) -> None:
    """ValueError unless each report closes with at most 8 bits, all zero, as it does if all repetitions are right."""
    path = path_to(batch.type, PADS)
    if not path:
        return
    rows, bits = gather(batch, path)
    counts = np.bincount(rows, minlength=len(batch))
    counts[rows[bits.to_numpy(zero_copy_only=False) != 0]] = MOST_PADS + 1
    least = int((counts == MOST_PADS).any())  # NCEP's own library adds a byte where none is needed, others none
    bad = np.flatnonzero((counts < least) | (counts > MOST_PADS))
    if bad.size:
        earlier = sum(len(one) for one in before if _category(one) == _category(batch))
        own = [frame for frame in held if frame.category == _category(batch)]
        frame = own[int(np.searchsorted(np.cumsum([one.subsets for one in own]), earlier + bad[0], side="right"))]
        raise ValueError(
            f"byte {frame.offset}: report {earlier + bad[0] + 1} of category {frame.category} does not end where its "
            "message says: fetch the file again"
        )


def _category(batch: pa.StructArray) -> int:
    return int(batch.field("_data_category")[0].as_py())


def _cycle(metadata: object) -> np.datetime64:
    """Time of the analysis that all messages with data name in section 1."""
    table = metadata._message_table.to_pandas()  # type: ignore[attr-defined]
    times = pd.to_datetime(table.loc[table["data_category"] != frames.DICTIONARY, ["year", "month", "day", "hour"]])
    if times.nunique() != 1:
        raise ValueError(f"messages of {times.min()} to {times.max()} in one file: split it by analysis")
    return times.iloc[0].to_datetime64().astype("datetime64[ns]")


def _ledger(walked: list[Frame], levels: list[Levels]) -> Ledger:
    counted = [one.marks() for one in levels]
    values = pd.concat(counted, ignore_index=True) if counted else pd.DataFrame(columns=MARK_COLUMNS)
    subsets = sum(frame.subsets for frame in frames.data(walked))
    return Ledger(
        format="prepbufr",
        frames=len(walked),
        subsets=subsets,
        levels=sum(len(one.report) for one in levels),
        values=values.groupby(MARK_COLUMNS[:-1], as_index=False)["count"].sum(),
        remarks={
            "levels whose drift is beyond reason": sum(int(one.drift_refused.sum()) for one in levels),
            "levels without a place or time": sum(int((~one.placed).sum()) for one in levels),
            "reports of kinds without levels, which are not read": subsets - sum(len(one.station) for one in levels),
        },
    )
