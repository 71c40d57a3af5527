"""Departures of observations from background and analysis, from the feedback tables.

O-B is the innovation y - H(x_b), O-A the residual y - H(x_a) (Desroziers et al. 2005, doi:10.1256/qj.05.108).
For data withheld from the analysis (passive) both are independent tests: rms(O-A) < rms(O-B) there means that
the analysis gained.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr

from lara.observations.table import PRESSURE, TIME, Flag
from lara.state import Channel

GROUPS = ["variable", "level", "withheld"]
STATISTICS = ["n", "ombg_mean", "ombg_rms", "oman_mean", "oman_rms"]


def by_level(feedback: pd.DataFrame) -> pd.DataFrame:
    """n, mean and rms of ombg and oman (SI) by variable, level (hPa, NaN at the surface) and withheld."""
    kept = feedback[feedback["EffectiveQC"].isin([Flag.PASS, Flag.PASSIVE]) & feedback["ombg"].notna()]
    rows = pd.DataFrame(
        {
            "variable": kept["variable"],
            "level": kept[PRESSURE] / 100.0,
            "withheld": kept["withheld"],
            "n": 1,
            "ombg_mean": kept["ombg"],
            "oman_mean": kept["oman"],
            "ombg_rms": kept["ombg"] ** 2,
            "oman_rms": kept["oman"] ** 2,
        }
    )
    groups = rows.groupby(GROUPS, dropna=False)
    means = groups[["ombg_mean", "ombg_rms", "oman_mean", "oman_rms"]].mean()
    means[["ombg_rms", "oman_rms"]] = np.sqrt(means[["ombg_rms", "oman_rms"]])
    return means.assign(n=groups["n"].sum()).reset_index()[[*GROUPS, *STATISTICS]]


def withheld_daily(feedback: pd.DataFrame, channels: Sequence[Channel]) -> xr.DataArray:
    """Rms of withheld observations less analyses (time, channel) day by day, SI; NaN on days without any."""
    kept = feedback[feedback["withheld"] & (feedback["EffectiveQC"] == Flag.PASSIVE) & feedback["oman"].notna()]
    parts = []
    for channel in channels:
        level = kept[PRESSURE].isna() if channel.level is None else kept[PRESSURE] == 100.0 * channel.level
        rows = kept[(kept["variable"] == channel.variable) & level]
        parts.append((rows["oman"] ** 2).groupby(rows[TIME].dt.floor("D")).mean() ** 0.5)
    table = pd.concat(parts, axis=1, keys=[channel.name for channel in channels])
    return xr.DataArray(table.to_numpy(), {"time": table.index.to_numpy(), "channel": list(table)}, ("time", "channel"))
