"""The observation table: one row per datum, columns named after IODA (JEDI, "IODA naming conventions").

Departures are always observation minus model: `ombg` = y - H(x_b), `oman` = y - H(x_a).
"""

from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Float

from lara.variables import VARIABLES

STATION = "MetaData/stationIdentification"
STATION_TYPE = "MetaData/stationType"
TIME = "MetaData/dateTime"
LATITUDE = "MetaData/latitude"
LONGITUDE = "MetaData/longitude"
PRESSURE = "MetaData/pressure"

COLUMNS = {
    STATION: "str",
    STATION_TYPE: "str",  # "surface" or "column"
    "variable": "str",  # our short names
    TIME: "datetime64[ns]",
    LATITUDE: "float64",  # degrees north
    LONGITUDE: "float64",  # degrees east, [0, 360)
    PRESSURE: "float64",  # Pa, NaN at the surface
    "ObsValue": "float64",  # SI
    "ObsError": "float64",  # standard deviation, SI
    "PreQC": "int64",  # 0 good
    "withheld": "bool",
}
FEEDBACK_COLUMNS = {
    **COLUMNS,
    "hofx": "float64",
    "ombg": "float64",
    "oman": "float64",
    "EffectiveError": "float64",
    "EffectiveQC": "int64",  # USED, PASSIVE or REJECTED
    "cycle": "datetime64[ns]",  # beginning of the window
}
USED, PASSIVE, REJECTED = 0, 1, 2


def validate(table: pd.DataFrame) -> pd.DataFrame:
    """The table with the columns and types of `COLUMNS`; ValueError names a column and its first bad row."""
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"observation table lacks the column(s) {missing}: it needs {list(COLUMNS)}")
    try:
        table = table[list(COLUMNS)].astype(COLUMNS).reset_index(drop=True)
    except (TypeError, ValueError) as error:
        raise ValueError(f"observation table holds a value of the wrong type: {error}") from error
    upper_air = table["variable"].map({name: v.upper_air for name, v in VARIABLES.items()})
    _require(table, "variable", upper_air.notna(), f"must be one of {list(VARIABLES)}")
    _require(table, STATION_TYPE, table[STATION_TYPE].isin(["surface", "column"]), "must be surface or column")
    _require(table, TIME, table[TIME].notna(), "must be a time")
    _require(table, LATITUDE, table[LATITUDE].between(-90, 90), "must lie in [-90, 90] degrees north")
    _require(
        table,
        LONGITUDE,
        table[LONGITUDE].between(0, 360, inclusive="left"),
        "must lie in [0, 360) degrees east",
    )
    pressure_fits = np.where(upper_air == True, table[PRESSURE] > 0, table[PRESSURE].isna())  # noqa: E712
    _require(table, PRESSURE, pressure_fits, "must be positive (Pa) aloft and NaN at the surface")
    _require(
        table,
        "ObsError",
        table["ObsError"] > 0,
        "must be positive; a missing observation has an infinite error",
    )
    finite = np.isfinite(table["ObsValue"]) | np.isinf(table["ObsError"]) | (table["PreQC"] != 0)
    _require(table, "ObsValue", finite, "must be finite, or the datum carry an infinite ObsError or PreQC > 0")
    return table


def _require(table: pd.DataFrame, column: str, good: np.ndarray | pd.Series, rule: str) -> None:
    bad = np.flatnonzero(~np.asarray(good, dtype=bool))
    if bad.size:
        raise ValueError(
            f"observation table, row {bad[0]}: {column} = {table[column].iloc[bad[0]]} {rule} ({bad.size} such rows)"
        )


def write(table: pd.DataFrame, path: Path) -> None:
    """Validate and write as parquet; the file appears whole or not at all."""
    _write_parquet(validate(table), path)


def write_feedback(table: pd.DataFrame, path: Path) -> None:
    """Write a feedback table as parquet; the file appears whole or not at all."""
    _write_parquet(table[list(FEEDBACK_COLUMNS)].astype(FEEDBACK_COLUMNS), path)


def _write_parquet(table: pd.DataFrame, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    table.to_parquet(partial, index=False)
    partial.replace(path)


def read(path: Path) -> pd.DataFrame:
    """The observation table in `path`. FileNotFoundError when absent, ValueError when it is not one."""
    return validate(_read_parquet(path))


def read_feedback(path: Path) -> pd.DataFrame:
    """The feedback table in `path`. FileNotFoundError when absent, ValueError when it is not one."""
    table = _read_parquet(path)
    missing = [column for column in FEEDBACK_COLUMNS if column not in table]
    if missing:
        raise ValueError(f"feedback file {path} lacks the column(s) {missing}: rerun the assimilation that made it")
    return table


def _read_parquet(path: Path) -> pd.DataFrame:
    if not path.exists():
        raise FileNotFoundError(
            f"no observation file {path}: run `lara simulate-observations`, or correct the path in the config"
        )
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{path} is not a readable parquet file ({error}): remove it and rerun the rule that made it"
        ) from error


def between(table: pd.DataFrame, begin: np.datetime64, end: np.datetime64) -> pd.DataFrame:
    """The rows with begin <= time < end (UTC), in their order."""
    return table[(table[TIME] >= begin) & (table[TIME] < end)]


def feedback(
    table: pd.DataFrame,
    background: Float[np.ndarray, " p"],
    analysis: Float[np.ndarray, " p"],
    error_std: Float[np.ndarray, " p"],
    cycle: np.datetime64,
) -> pd.DataFrame:
    """The rows of one window with what became of them.

    `background` and `analysis` are H(x_b) and H(x_a), `error_std` the error the analysis used (infinite where
    it used none), all in SI and in the order of the rows; `cycle` is the beginning of the window.
    """
    rejected = (table["PreQC"] != 0) | ~np.isfinite(table["ObsValue"])
    return table.assign(
        hofx=background,
        ombg=table["ObsValue"] - background,
        oman=table["ObsValue"] - analysis,
        EffectiveError=error_std,
        EffectiveQC=np.where(rejected, REJECTED, np.where(np.isfinite(error_std), USED, PASSIVE)),
        cycle=pd.Timestamp(cycle),
    )
