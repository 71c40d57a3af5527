"""The observation table: one row per observation, columns named after IODA (JEDI, "IODA naming conventions").

Departures are always observation minus model: `ombg` = y - H(x_b), `oman` = y - H(x_a). What became of a datum is a
`Flag`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Int64

from lara.observations import parquet_files
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE, STATION, STATION_TYPE, TIME
from lara.observations.flags import REASONS, Flag
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
    parquet_files.write((validate(part) for part in parts), COLUMNS, path)


def write_feedback(parts: Iterable[pd.DataFrame], path: Path) -> None:
    """Write feedback tables in their order as one parquet file with a row group per cycle, whole or not at all.

    The bytes do not depend on how the cycles are spread over the parts.
    """
    typed = (part[list(FEEDBACK_COLUMNS)].astype(FEEDBACK_COLUMNS) for part in parts)
    parquet_files.write((cycle for part in typed for _, cycle in part.groupby("cycle")), FEEDBACK_COLUMNS, path)


def read(path: Path, begin: np.datetime64 | None = None, end: np.datetime64 | None = None) -> pd.DataFrame:
    """The observation table in `path`, or its rows with begin <= time < end (UTC).

    FileNotFoundError when absent, ValueError when it is not one.
    """
    limits = [(TIME, sign, limit) for sign, limit in ((">=", begin), ("<", end)) if limit is not None]
    return validate(parquet_files.read(path, limits))


def read_all(paths: Sequence[Path], begin: np.datetime64, end: np.datetime64) -> pd.DataFrame:
    """Rows with begin <= time < end (UTC) of several tables, one after the other. Errors as of `read`."""
    return pd.concat([read(path, begin, end) for path in paths], ignore_index=True)


def read_feedback(path: Path, cycle: np.datetime64 | None = None) -> pd.DataFrame:
    """The feedback table in `path`, or that of one cycle. FileNotFoundError when absent, ValueError if it is none."""
    return _require_feedback(parquet_files.read(path, [] if cycle is None else [("cycle", "==", cycle)]), path)


def feedback_parts(path: Path) -> Iterator[pd.DataFrame]:
    """The same table, cycle after cycle; one without rows where there are none."""
    found = False
    for part in parquet_files.row_groups(path):
        found = True
        yield _require_feedback(part, path)
    if not found:
        yield read_feedback(path)


def _require_feedback(table: pd.DataFrame, path: Path) -> pd.DataFrame:
    missing = [column for column in FEEDBACK_COLUMNS if column not in table]
    if missing:
        raise ValueError(f"feedback file {path} lacks the column(s) {missing}: rerun the assimilation that made it")
    return table


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
