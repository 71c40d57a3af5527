"""Levels of PrepBUFR reports: where and when each lies, and the events of its observations."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float, Int64

from lara.observations.readers.nested import Events, events, flattened, path_to, singles, taken
from lara.observations.readers.settings import Settings

OBSERVED = {"POB": "P", "QOB": "Q", "TOB": "T", "ZOB": "Z", "UOB": "W", "VOB": "W"}  # with NCEP's letter of its marks
HEADER = ("XOB", "YOB", "DHR", "ELV", "TYP", "T29", "TSB", "ITP", "SQN", "SIRC", "RSRD", "EXPRSRD")
BESIDE = (
    "CAT",
    "XDR",
    "YDR",
    "HRDR",
    "POE",
    "PFC",
    "QOE",
    "QFC",
    "TOE",
    "TFC",
    "ZFC",
    "WOE",
    "UFC",
    "VFC",
    "PMO",
    "PMQ",
)
Numbers = Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Levels:
    """The n levels of m reports, in NCEP's units; `header` is of every report, `beside` of every level."""

    report: Int64[np.ndarray, " n"]
    number: Int64[np.ndarray, " n"]  # in its report
    station: np.ndarray  # of every report
    header: dict[str, Float[np.ndarray, " m"]]
    beside: dict[str, Numbers]
    observed: dict[str, Events]
    latitude: Numbers
    longitude: Numbers  # [0, 360)
    hours: Numbers  # from the time of the analysis
    drift_refused: Bool[np.ndarray, " n"]

    @property
    def placed(self) -> Bool[np.ndarray, " n"]:
        """Levels that have a place on the globe and a time; the others can be compared with nothing."""
        return (np.abs(self.latitude) <= 90) & np.isfinite(self.longitude) & np.isfinite(self.hours)

    def of_report(self, name: str) -> Numbers:
        """A field of the header at every level."""
        return self.header[name][self.report]

    def marks(self) -> pd.DataFrame:
        """Counts of values by type, observation and mark of the newest event."""
        parts = []
        for name, stack in self.observed.items():
            own = stack.newest >= 0
            mark = np.nan_to_num(taken(stack.mark, stack.newest)[own], nan=-1)
            counted = np.bincount((1000 * self.of_report("TYP")[own] + mark + 1).astype(np.int64))
            key = np.flatnonzero(counted)
            part = {"type": key // 1000, "observation": name, "mark": key % 1000 - 1, "count": counted[key]}
            parts.append(pd.DataFrame(part))
        return pd.concat(parts, ignore_index=True)


def levels_of(batch: pa.StructArray, settings: Settings) -> Levels:
    """The levels of decoded reports of one kind of message."""
    path = path_to(batch.type, "CAT")
    report, array = flattened(batch.field(path[0])) if len(path) > 1 else (np.arange(len(batch)), batch)
    header, beside = singles(batch, HEADER), singles(array, BESIDE)
    latitude, longitude, hours, refused = _placed(header, beside, report, settings)
    return Levels(
        report=report,
        number=np.arange(len(report)) - np.searchsorted(report, report),
        station=np.char.strip(batch.field("SID").to_numpy(zero_copy_only=False).astype("U8")),
        header=header,
        beside=beside,
        observed={name: events(array, name, letter) for name, letter in OBSERVED.items()},
        latitude=latitude,
        longitude=longitude,
        hours=hours,
        drift_refused=refused,
    )


def _placed(
    header: dict[str, np.ndarray], beside: dict[str, np.ndarray], report: np.ndarray, settings: Settings
) -> tuple[Numbers, Numbers, Numbers, Bool[np.ndarray, " n"]]:
    """Latitude, longitude and time of levels, those of their report where there is no drift or one beyond reason."""
    latitude, longitude, hours = (header[name][report] for name in ("YOB", "XOB", "DHR"))
    given = np.isfinite(beside["YDR"]) & np.isfinite(beside["XDR"])
    near = given & (separation(latitude, longitude, beside["YDR"], beside["XDR"]) <= settings.drift_degrees)
    timed = np.isfinite(beside["HRDR"])
    soon = timed & (np.abs(beside["HRDR"]) <= settings.drift_hours)
    return (
        np.where(near, beside["YDR"], latitude),
        np.where(near, beside["XDR"], longitude) % 360.0,
        np.where(soon, beside["HRDR"], hours),
        (given & ~near) | (timed & ~soon),
    )


def separation(latitude: Numbers, longitude: Numbers, other_latitude: Numbers, other_longitude: Numbers) -> Numbers:
    """Degrees of a great circle between places."""
    north, other = np.deg2rad(latitude), np.deg2rad(other_latitude)
    half = np.sin((other - north) / 2) ** 2
    half += np.cos(north) * np.cos(other) * np.sin(np.deg2rad(other_longitude - longitude) / 2) ** 2
    return np.rad2deg(2 * np.arcsin(np.sqrt(np.clip(half, 0.0, 1.0))))
