"""BUFR of WMO: TEMP and PILOT, SYNOP, SHIP and BUOY, AMDAR and AIREP, by eccodes, whole arrays at a time.

Messages are walked first (`frames`), and each is decoded alone, so that what cannot be decoded is named by its byte.
Parts of an ascent that came as several messages are joined. Data of other kinds are counted, not read.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import eccodes
import numpy as np
import pandas as pd

from lara import receipts
from lara.observations import reports
from lara.observations.columns import LONGITUDE, STATION
from lara.observations.readers import frames
from lara.observations.readers import levels as wide
from lara.observations.readers.bufr_message import KINDS, Arrays, arrays, table
from lara.observations.readers.settings import Ledger, Reading, Settings

HEADING = 200  # bytes before the first message


def recognises(head: bytes, path: Path) -> bool:
    """Whether BUFR stands at the beginning of a file, perhaps after a heading, and no tables of NCEP come first."""
    begin = head.find(b"BUFR")
    return 0 <= begin < HEADING and not frames.begins_with_dictionary(head[begin:])


def read(path: Path, settings: Settings) -> Reading:
    """The reports of a BUFR file. ValueError names the file and the byte of what is damaged or cannot be decoded."""
    receipts.require_whole(path)
    try:
        raw = path.read_bytes()
        walked = frames.walk(raw)
        parts, unread = _messages(raw, walked)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not parts:
        raise ValueError(f"{path}: none of its {len(walked)} messages is of a kind that is read: {dict(unread)}")
    sent = table(parts)
    levels = _joined(sent)
    unread["levels sent twice"] = len(sent) - len(levels)
    found = wide.to_reports(levels, settings)
    subsets = sum(frame.subsets for frame in walked)
    return Reading(
        found,
        Ledger("bufr", len(walked), subsets, len(levels), wide.marks(found), dict(unread) | wide.lost(levels, found)),
    )


def _messages(raw: bytes, walked: list[frames.Frame]) -> tuple[list[Arrays], Counter[str]]:
    """Levels of every message that is read, and counts of the others by kind."""
    parts: list[Arrays] = []
    unread: Counter[str] = Counter()
    for frame in walked:
        if frame.category not in KINDS:
            unread[f"messages of category {frame.category}, which is not read"] += 1
            continue
        try:
            parts.extend(_decoded(raw[frame.offset : frame.end]))
        except (eccodes.CodesInternalError, ValueError, KeyError, OverflowError) as error:
            raise ValueError(f"byte {frame.offset}: message of category {frame.category}: {error}") from error
    return parts, unread


def _decoded(raw: bytes) -> Iterator[Arrays]:
    """Levels of each subset of a message."""
    handle = eccodes.codes_new_from_message(raw)
    try:
        subsets = eccodes.codes_get(handle, "numberOfSubsets")
        eccodes.codes_set(handle, "skipExtraKeyAttributes", 1)
        eccodes.codes_set(handle, "unpack", 1)
        if subsets == 1:
            yield arrays(handle)
            return
        for number in range(subsets):
            yield _subset(handle, number + 1)
    finally:
        eccodes.codes_release(handle)


def _subset(handle: int, number: int) -> Arrays:
    eccodes.codes_set(handle, "extractSubset", number)
    eccodes.codes_set(handle, "doExtractSubsets", 1)
    one = eccodes.codes_clone(handle)
    try:
        eccodes.codes_set(one, "skipExtraKeyAttributes", 1)
        eccodes.codes_set(one, "unpack", 1)
        return arrays(one)
    finally:
        eccodes.codes_release(one)


def _joined(levels: pd.DataFrame) -> pd.DataFrame:
    """Levels with their numbers: the parts of an ascent are one report, and what was sent twice is there once."""
    once = levels.drop_duplicates()
    east = {name: once[name] % 360 for name in (LONGITUDE, reports.RELEASE_LONGITUDE)}
    placed = once.assign(**east)
    ascents = (placed[reports.TYPE] % 100 < 30) & (placed[STATION] != "")
    alone = np.where(ascents, -1, np.arange(len(placed)))
    ordered = placed.assign(alone=alone)
    return wide.numbered(ordered, [STATION, reports.RELEASE_TIME, reports.TYPE, "alone"]).drop(columns="alone")
