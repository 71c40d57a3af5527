"""Twin-experiment observations of a known truth: y = H(x_true) + eps, eps ~ N(0, sigma_o^2), independent.

The errors of one time are drawn by a generator seeded with (seed, time), for every channel of the state at
every site, so an observation has the same value whichever other times or variables are asked for. Humidity is
left as drawn even where negative: setting it to zero would give the observations a bias.
"""

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float

from lara.observations import batches
from lara.observations.table import (
    COLUMNS,
    LATITUDE,
    LONGITUDE,
    PRESSURE,
    STATION,
    STATION_TYPE,
    TIME,
    validate,
)
from lara.state import Channels
from lara.store import StateStore

TIMES_PER_READ = 8


def simulate(
    truth: StateStore, network: pd.DataFrame, times: np.ndarray, error_std: dict[str, float], seed: int
) -> pd.DataFrame:
    """The observation table of `network` at `times`, ordered by time, then site, then channel.

    `error_std` holds sigma_o (SI) by channel name; a channel without an entry is not observed. Columns
    observe the upper-air channels, surface stations the others. ValueError names an unknown channel or a
    sigma_o that is not positive.
    """
    rows = _rows_of_one_time(network, truth.channels, error_std)
    values = [
        _observe(truth, rows, times[first : first + TIMES_PER_READ]) for first in range(0, len(times), TIMES_PER_READ)
    ]
    noise = [_standard_errors(len(network), len(truth.channels), time, seed) for time in times]
    drawn = np.stack(noise)[:, rows["site"], rows["channel"]] * rows["ObsError"].to_numpy()
    table = rows.iloc[np.tile(np.arange(len(rows)), len(times))].reset_index(drop=True)
    table[TIME] = np.repeat(times.astype("datetime64[ns]"), len(rows))
    table["ObsValue"] = (np.concatenate(values) + drawn).ravel()
    return validate(table[list(COLUMNS)])


def _rows_of_one_time(network: pd.DataFrame, channels: Channels, error_std: dict[str, float]) -> pd.DataFrame:
    """What every time has in common: one row per site and channel it observes."""
    unknown = [name for name in error_std if name not in channels.names]
    if unknown:
        raise ValueError(f"error_std names {unknown}, which the state has not: it has {channels.names}")
    wrong = {name: std for name, std in error_std.items() if not std > 0}
    if wrong:
        raise ValueError(f"error_std {wrong}: an observation error must be positive (SI units)")
    observed = pd.DataFrame(
        {
            "type": "surface" if channel.level is None else "column",
            "channel": number,
            "variable": channel.variable,
            PRESSURE: np.nan if channel.level is None else 100.0 * channel.level,
            "ObsError": error_std[channel.name],
        }
        for number, channel in enumerate(channels.channels)
        if channel.name in error_std
    )
    rows = network.assign(site=np.arange(len(network))).merge(observed, on="type").sort_values(["site", "channel"])
    names = {"station": STATION, "type": STATION_TYPE, "latitude": LATITUDE, "longitude": LONGITUDE}
    return rows.rename(columns=names).assign(PreQC=0).reset_index(drop=True)


def _observe(truth: StateStore, rows: pd.DataFrame, times: np.ndarray) -> Float[np.ndarray, "time row"]:
    states = torch.from_numpy(truth.at(times)).double()
    at_one_time = rows.assign(**{TIME: times[0], "ObsValue": 0.0})
    h = batches.from_table(at_one_time, truth.grid, truth.channels, times[:1])
    return h.repeat(len(times)).hofx(states[:, None]).numpy()


def _standard_errors(sites: int, channels: int, time: np.datetime64, seed: int) -> Float[np.ndarray, "site channel"]:
    second = int(time.astype("datetime64[s]").astype(np.int64))
    return np.random.default_rng([seed, second + 2**40]).standard_normal((sites, channels))
