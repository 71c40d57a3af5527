"""IGRA, version 2: radiosondes of the Integrated Global Radiosonde Archive, text of fixed width (NOAA NCEI).

A line that begins with # heads an ascent and says how many levels follow. −9999 is missing, −8888 was removed by
IGRA's own quality control. Most of its ascents are also those of PrepBUFR.
"""

import gzip
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from lara import receipts
from lara.observations import reports
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, TIME
from lara.observations.readers import levels as wide
from lara.observations.readers.settings import Ledger, Reading, Settings

GZIP = b"\x1f\x8b"
TEXT = bytes([10, 13, *range(32, 127)])
WIDTH = 51
FIELDS = {  # columns of a level from the first, and the factor that makes SI of them
    "elapsed": (3, 8, 1.0),
    PRESSURE: (9, 15, 1.0),
    reports.HEIGHT: (16, 21, 1.0),
    "t": (22, 27, 0.1),
    "rh": (28, 33, 0.001),
    "depression": (34, 39, 0.1),
    "direction": (40, 45, 1.0),
    "speed": (46, 51, 0.1),
}
LEAST_MISSING = -8888
SONDE, PILOT = 120, 221  # NCEP's types


def recognises(head: bytes, path: Path) -> bool:
    """Whether a file's first bytes, after decompression, are those of an ascent."""
    return head[:1] == b"#" and len(head) > 71 and head[12:13] == b" " and head[13:17].isdigit()


def read(path: Path, settings: Settings) -> Reading:
    """The reports of all ascents of a station. ValueError with file and byte for a line that is none."""
    receipts.require_whole(path)
    try:
        raw = unpacked(path)
        if foreign := raw.translate(None, TEXT):
            raise ValueError(
                f"byte {raw.index(foreign[:1])}: {foreign[:1]!r} is no character of IGRA's: fetch it again"
            )
        ascents, levels = _parsed(raw.split(b"\n"))
    except (ValueError, EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: {error}") from error
    placed = _placed(ascents, levels)
    table = wide.to_reports(placed, settings)
    ledger = Ledger("igra", len(ascents), len(ascents), len(levels), wide.marks(table), wide.lost(placed, table))
    return Reading(table, ledger)


def unpacked(path: Path) -> bytes:
    """The bytes of a file, decompressed where it is gzip. EOFError or zlib.error for one that is cut or damaged."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if raw.startswith(GZIP) else raw


def _parsed(lines: list[bytes]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Heads, and levels with the number of their head. ValueError beginning with the byte of a bad line."""
    offsets = np.concatenate([[0], np.cumsum([len(line) + 1 for line in lines])])
    lines = [line.rstrip(b"\r") for line in lines]
    while lines and not lines[-1]:
        lines.pop()
    heads = [number for number, line in enumerate(lines) if line.startswith(b"#")]
    if not heads or heads[0] != 0:
        raise ValueError("byte 0: no line that begins with #: it is no IGRA file, or cut at its beginning")
    count = np.diff([*heads, len(lines)]) - 1
    table = pd.DataFrame([_head(lines[number], int(offsets[number])) for number in heads])
    bad = np.flatnonzero(table["levels"].to_numpy() != count)
    if bad.size:
        stated, byte = table["levels"].iloc[bad[0]], offsets[heads[bad[0]]]
        raise ValueError(f"byte {byte}: an ascent of {stated} levels has {count[bad[0]]}: fetch the file again")
    body = [number for number, line in enumerate(lines) if not line.startswith(b"#")]
    return table, _levels([lines[number] for number in body], offsets[body]).assign(
        ascent=np.repeat(np.arange(len(heads)), count)
    )


def _head(line: bytes, byte: int) -> dict[str, object]:
    try:
        text = line.decode("ascii")
        year, month, day, hour = (int(text[begin:end]) for begin, end in ((13, 17), (18, 20), (21, 23), (24, 26)))
        release = int(text[27:31])
        nominal = pd.Timestamp(year, month, day) + pd.Timedelta(hours=hour % 99)
        return {
            STATION: text[1:12],
            "nominal": nominal,
            reports.RELEASE_TIME: _release(nominal, release, hour == 99),
            "levels": int(text[32:36]),
            reports.RELEASE_LATITUDE: int(text[55:62]) / 1e4,
            reports.RELEASE_LONGITUDE: int(text[63:71]) / 1e4 % 360,
        }
    except (UnicodeDecodeError, ValueError) as error:
        raise ValueError(f"byte {byte}: no head of an ascent: {error}") from error


def _release(nominal: pd.Timestamp, release: int, no_hour: bool) -> pd.Timestamp:
    """When the balloon was let go: within half a day of its nominal hour, or then where that is not known."""
    hours, minutes = divmod(release, 100)
    if release == 9999 or hours > 23:
        return nominal
    minutes = 0 if minutes == 99 else minutes
    moment = nominal.normalize() + pd.Timedelta(hours=hours, minutes=minutes)
    late = (moment - nominal) / pd.Timedelta(hours=1)
    return moment if no_hour or abs(late) <= 12 else moment - pd.Timedelta(days=np.sign(late))


def _levels(lines: list[bytes], offsets: np.ndarray) -> pd.DataFrame:
    bad = next((number for number, line in enumerate(lines) if len(line) < WIDTH), None)
    if bad is not None:
        raise ValueError(f"byte {offsets[bad]}: a level of {len(lines[bad])} characters, where {WIDTH} are due")
    if not lines:
        return pd.DataFrame(columns=[*FIELDS], dtype=float)
    block = np.frombuffer(b"".join(line[:WIDTH] for line in lines), dtype="S1").reshape(-1, WIDTH)
    columns = {}
    for name, (begin, end, factor) in FIELDS.items():
        text = np.ascontiguousarray(block[:, begin:end]).view(f"S{end - begin}")[:, 0]
        try:
            number = text.astype(np.float64)
        except ValueError as error:
            raise ValueError(f"byte {offsets[0]}: levels from there on hold what is no {name}: {error}") from error
        columns[name] = np.where(number <= LEAST_MISSING, np.nan, factor * number)
    ground = block[:, 1] == b"1"
    return pd.DataFrame(columns).assign(ground=ground)


def _placed(ascents: pd.DataFrame, levels: pd.DataFrame) -> pd.DataFrame:
    """Levels with all columns of reports that IGRA knows."""
    own = levels.join(ascents.drop(columns="levels"), on="ascent")
    celsius = own["t"] + reports.FREEZING
    seconds = own["elapsed"] // 100 * 60 + own["elapsed"] % 100
    wind_only = own.groupby("ascent")["t"].transform("count") == 0
    own = wide.numbered(own, ["ascent"])
    return own.assign(
        **{
            "t": celsius,
            "td": celsius - own["depression"],
            "z": reports.GRAVITY * own[reports.HEIGHT],
            "ps": own[PRESSURE].where(own["ground"].astype(bool)),
            TIME: own[reports.RELEASE_TIME] + pd.to_timedelta(seconds.clip(0).fillna(0), unit="s"),
            LATITUDE: own[reports.RELEASE_LATITUDE],
            LONGITUDE: own[reports.RELEASE_LONGITUDE],
            reports.CYCLE: own["nominal"],
            reports.TYPE: np.where(wind_only, PILOT, SONDE),
        }
    )
