"""The observation table: one row per observation, columns named after IODA (JEDI, "IODA naming conventions").

Departures are always observation minus model: `ombg` = y - H(x_b), `oman` = y - H(x_a). What became of a datum is a
`Flag`, numbered like those of JEDI's Unified Forward Operator (JCSDA/ufo, src/ufo/filters/QCflags.h).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from jaxtyping import Bool, Float, Int64
from pyarrow import parquet

from lara import receipts
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, STATION_TYPE, TIME
from lara.observations.operators import KINDS, observed_variables

COLUMNS = {
    STATION: "str",
    STATION_TYPE: "str",  # one of `operators.KINDS`
    "variable": "str",  # our short names
    TIME: "datetime64[ns]",
    LATITUDE: "float64",  # degrees north
    LONGITUDE: "float64",  # degrees east, [0, 360)
    PRESSURE: "float64",  # Pa, NaN at the surface
    "ObsValue": "float64",  # SI
    "ObsError": "float64",  # standard deviation, SI
    "PreQC": "int64",  # a Flag, 0 good
    "withheld": "bool",
}
FEEDBACK_COLUMNS = {
    **COLUMNS,
    "hofx": "float64",
    "ombg": "float64",
    "oman": "float64",
    "EffectiveError": "float64",
    "EffectiveQC": "int64",  # a Flag, 0 used
    "reason": "str",  # the same in words
    "weight": "float64",  # of the datum in the cost relative to a Gaussian, in (0, 1]
    "cycle": "datetime64[ns]",  # beginning of the window
}


class Flag(IntEnum):
    """What became of a datum. Numbers below 100 are those of UFO, greater ones have no counterpart there."""

    PASS = 0
    PASSIVE = 1
    MISSING = 10
    PREQC = 11
    BOUNDS = 12
    BLACK = 14
    THINNED = 16
    FGUESS = 19
    SUPEROB = 31
    DUPLICATE = 101
    CONFLICT = 102
    USED_BEFORE = 103
    IMPLAUSIBLE = 104

    @property
    def reason(self) -> str:
        """The flag in words, as in feedback and reports."""
        return REASONS[self]


REASONS = {
    Flag.PASS: "used",
    Flag.PASSIVE: "passive: compared, not assimilated",
    Flag.MISSING: "value or error missing",
    Flag.PREQC: "rejected by its provider",
    Flag.BOUNDS: "too far from climatology",
    Flag.BLACK: "blacklisted",
    Flag.THINNED: "thinned",
    Flag.FGUESS: "too far from the background",
    Flag.SUPEROB: "averaged into a superobservation",
    Flag.DUPLICATE: "repeats an earlier row",
    Flag.CONFLICT: "contradicts an earlier row of the same site, time and level",
    Flag.USED_BEFORE: "used by an earlier window",
    Flag.IMPLAUSIBLE: "beyond what the atmosphere does",
}


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns and types of `COLUMNS`; ValueError names a column and its first bad row."""
    table = _typed(table)
    aloft = _observed_aloft(table)
    _require(table, TIME, table[TIME].notna(), "must be a time")
    _require(table, LATITUDE, table[LATITUDE].between(-90, 90), "must lie in [-90, 90] degrees north")
    _require(
        table,
        LONGITUDE,
        table[LONGITUDE].between(0, 360, inclusive="left"),
        "must lie in [0, 360) degrees east",
    )
    pressure_fits = np.where(aloft == True, table[PRESSURE] > 0, table[PRESSURE].isna())  # noqa: E712
    _require(table, PRESSURE, pressure_fits, "must be positive (Pa) aloft and NaN at the surface")
    _require(
        table,
        "ObsError",
        table["ObsError"] > 0,
        "must be positive; a missing observation has an infinite error",
    )
    _require(
        table, "PreQC", table["PreQC"].isin(list(Flag)), "must be a Flag; a provider's own rejection is 11 (PREQC)"
    )
    finite = np.isfinite(table["ObsValue"]) | np.isinf(table["ObsError"]) | (table["PreQC"] != 0)
    _require(table, "ObsValue", finite, "must be finite, or the datum carry an infinite ObsError or PreQC > 0")
    return table


def _typed(table: pd.DataFrame) -> pd.DataFrame:
    """The columns of `COLUMNS` in their types. ValueError for one that is missing or of another type."""
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"observation table lacks the column(s) {missing}: it needs {list(COLUMNS)}")
    try:
        return table[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"observation table holds a value of the wrong type: {error}") from error


def _observed_aloft(table: pd.DataFrame) -> pd.Series:
    """Whether a row has a pressure; ValueError for a variable that its station type, or none, observes."""
    known = observed_variables()
    _require(table, "variable", table["variable"].isin(known), f"must be one of {known}")
    _require(table, STATION_TYPE, table[STATION_TYPE].isin(list(KINDS)), f"must be one of {list(KINDS)}")
    aloft = _aloft(table)
    _require(table, "variable", aloft.notna(), "must be one that its station type observes")
    return aloft


def _aloft(table: pd.DataFrame) -> pd.Series:
    """Whether a row has a pressure, by its station type and variable; NaN where that type does not observe it."""
    known = {(kind, name): aloft for kind, one in KINDS.items() for name, aloft in one.VARIABLES.items()}
    keys = pd.MultiIndex.from_frame(table[[STATION_TYPE, "variable"]])
    return pd.Series(known, dtype=object).reindex(keys).reset_index(drop=True)


def _require(table: pd.DataFrame, column: str, good: np.ndarray | pd.Series, rule: str) -> None:
    bad = np.flatnonzero(~np.asarray(good, dtype=bool))
    if bad.size:
        raise ValueError(
            f"observation table, row {bad[0]}: {column} = {table[column].iloc[bad[0]]} {rule} ({bad.size} such rows)"
        )


def write(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Validate and write tables in their order as one parquet file, whole or not at all; each becomes a row group.

    So a file longer than memory is written, and read by stretches of time: give a part for some days.
    """
    _write_parquet((validate(part) for part in parts), COLUMNS, path)


def write_feedback(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Write feedback tables in their order as one parquet file with a row group per cycle, whole or not at all.

    The bytes do not depend on how the cycles are spread over the parts.
    """
    typed = (part[list(FEEDBACK_COLUMNS)].astype(FEEDBACK_COLUMNS) for part in parts)
    _write_parquet((cycle for part in typed for _, cycle in part.groupby("cycle")), FEEDBACK_COLUMNS, path)


def _write_parquet(parts: Iterable[pd.DataFrame], columns: Mapping[str, str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    empty = pd.DataFrame(columns=list(columns)).astype(dict(columns))
    schema = pa.Schema.from_pandas(empty, preserve_index=False)
    with parquet.ParquetWriter(partial, schema) as writer:
        for part in parts:
            writer.write_table(pa.Table.from_pandas(part, schema, preserve_index=False))
    receipts.withdraw(path)
    partial.replace(path)
    receipts.vouch(path)


def read(path: Path, begin: np.datetime64 | None = None, end: np.datetime64 | None = None) -> pd.DataFrame:
    """The observation table in `path`, or its rows with begin <= time < end (UTC).

    FileNotFoundError when absent, ValueError when it is not one.
    """
    limits = [(TIME, sign, limit) for sign, limit in ((">=", begin), ("<", end)) if limit is not None]
    return validate(_read_parquet(path, limits))


def read_all(paths: Sequence[Path], begin: np.datetime64, end: np.datetime64) -> pd.DataFrame:
    """Rows with begin <= time < end (UTC) of several tables, one after the other. Errors as of `read`."""
    return pd.concat([read(path, begin, end) for path in paths], ignore_index=True)


def read_feedback(path: Path, cycle: np.datetime64 | None = None) -> pd.DataFrame:
    """The feedback table in `path`, or that of one cycle. FileNotFoundError when absent, ValueError if it is none."""
    return _require_feedback(_read_parquet(path, [] if cycle is None else [("cycle", "==", cycle)]), path)


def feedback_parts(path: Path) -> Iterator[pd.DataFrame]:
    """The same table, cycle after cycle; one without rows where there are none."""
    _require_file(path)
    with _naming(path), parquet.ParquetFile(path) as file:
        groups = file.num_row_groups
    if not groups:
        yield read_feedback(path)
    for number in range(groups):
        with _naming(path), parquet.ParquetFile(path) as file:
            part = file.read_row_group(number).to_pandas()
        yield _require_feedback(part, path)


def prove(path: Path) -> None:
    """Compare a parquet file with its receipt, and read all of it. ValueError naming it where it is damaged."""
    _require_file(path)
    receipts.require_whole(path)
    with _naming(path), parquet.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            file.read_row_group(number)


def _require_feedback(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = [column for column in FEEDBACK_COLUMNS if column not in table]
    if missing:
        raise ValueError(f"feedback file {path} lacks the column(s) {missing}: rerun the assimilation that made it")
    return table


def _require_file(path: Path) -> None:
    if not path.exists():
        raise FileNotFoundError(
            f"no observation file {path}: run `lara simulate-observations` and `lara screen-observations`, or snakemake"
        )
    state = path.stat()
    _require_whole(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=256)
def _require_whole(path: Path, size: int, modified: int) -> None:
    """Compare a file with its receipt, once as long as it stays as it is: it is read stretch by stretch."""
    receipts.require_whole(path)


def _read_parquet(path: Path, limits: Sequence[tuple[str, str, np.datetime64]]) -> pd.DataFrame:
    _require_file(path)
    filters = [(column, sign, pd.Timestamp(limit)) for column, sign, limit in limits]
    with _naming(path):
        return pd.read_parquet(path, filters=filters or None)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Names a file that is no parquet, or damaged, in what reading it raises."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} is not a readable parquet file ({error}): remove it and rerun the rule that made it"
        ) from error


def between(table: pd.DataFrame, begin: np.datetime64, end: np.datetime64) -> pd.DataFrame:
    """The rows with begin <= time < end (UTC), in their order."""
    return table[(table[TIME] >= begin) & (table[TIME] < end)]


def prior_flags(table: pd.DataFrame, fresh_from: np.datetime64 | None = None) -> Int64[np.ndarray, " p"]:
    """The flag of every datum before the analysis, PASS where it may be used.

    The first that applies: what screening wrote into PreQC, a missing value or error, a time before `fresh_from`
    (UTC), withheld. So a datum seen by two windows is compared with the model in the first alone.
    """
    old = np.zeros(len(table), dtype=bool) if fresh_from is None else (table[TIME] < fresh_from).to_numpy()
    present = np.isfinite(table["ObsValue"].to_numpy()) & np.isfinite(table["ObsError"].to_numpy())
    screened = table["PreQC"].to_numpy(dtype=np.int64)
    cases = [screened != Flag.PASS, ~present, old, table["withheld"].to_numpy(dtype=bool)]
    return np.select(cases, [screened, Flag.MISSING, Flag.USED_BEFORE, Flag.PASSIVE], Flag.PASS).astype(np.int64)


def effective_flags(
    prior: Int64[np.ndarray, " p"], error_std: Float[np.ndarray, " p"], rejected: Bool[np.ndarray, " p"]
) -> Int64[np.ndarray, " p"]:
    """The flag of every datum after the analysis.

    `prior` are the `prior_flags`, `error_std` the error (SI) the analysis used, infinite throughout where nothing was
    assimilated; `rejected` marks what the background check took out.
    """
    cases = [prior != Flag.PASS, rejected, ~np.isfinite(error_std)]
    return np.select(cases, [prior, Flag.FGUESS, Flag.PASSIVE], Flag.PASS).astype(np.int64)


@dataclass(frozen=True)
class Outcome:
    """What an analysis made of the p rows of a window, in their order.

    `background` and `analysis` are H(x_b) and H(x_a), `error_std` the error the analysis used, infinite where it used
    none, all in SI; `flags` as from `effective_flags`; `weight` is rho'(d) / d at the analysis, 1 where not used.
    """

    background: Float[np.ndarray, " p"]
    analysis: Float[np.ndarray, " p"]
    error_std: Float[np.ndarray, " p"]
    flags: Int64[np.ndarray, " p"]
    weight: Float[np.ndarray, " p"]


def feedback(table: pd.DataFrame, outcome: Outcome, cycle: np.datetime64) -> pd.DataFrame:
    """The rows of one window with what became of them; `cycle` is the beginning of the window.

    ValueError for a datum that is flagged as used without a finite error, or has one without being used.
    """
    contradictory = (outcome.flags == Flag.PASS) != np.isfinite(outcome.error_std)
    if contradictory.any():
        row = int(np.flatnonzero(contradictory)[0])
        raise ValueError(
            f"feedback, row {row}: flag {outcome.flags[row]} and error {outcome.error_std[row]} contradict each other: "
            "exactly the used data (flag 0) have a finite error; take the flags from effective_flags"
        )
    return table.assign(
        hofx=outcome.background,
        ombg=table["ObsValue"] - outcome.background,
        oman=table["ObsValue"] - outcome.analysis,
        EffectiveError=outcome.error_std,
        EffectiveQC=outcome.flags,
        reason=[REASONS[Flag(flag)] for flag in outcome.flags],
        weight=outcome.weight,
        cycle=pd.Timestamp(cycle),
    )
