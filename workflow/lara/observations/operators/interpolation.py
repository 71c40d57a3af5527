"""Interpolation: a variable of the state at a place, bilinear between the four grid points around it.

    H(x)_i = sum_j w_ij x[slot_i, channel_i, index_ij],   j = 1..4

H is linear, so that autograd through the gather is its exact adjoint (a scatter-add), which can be differentiated
again. Surface stations and columns both observe in this way, a column at the levels of the state.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from jaxtyping import Float, Int64
from torch import Tensor

from lara import variables
from lara.grid import Grid
from lara.observations.columns import LATITUDE, LONGITUDE, PRESSURE
from lara.state import Channels

VARIABLES = {name: variable.upper_air for name, variable in variables.VARIABLES.items()}


def place(rows: pd.DataFrame, grid: Grid, channels: Channels) -> dict[str, np.ndarray]:
    """The `channel` of every row, and `index` and `weight` of the grid points around it.

    ValueError for a variable or pressure that is not among the channels.
    """
    return {"channel": channel_numbers(rows, channels), **points(rows, grid)}


def points(rows: pd.DataFrame, grid: Grid) -> dict[str, np.ndarray]:
    """Flat `index` (q, 4) and `weight` (q, 4) of the grid points around every row."""
    index, weight = grid.interpolation(rows[LATITUDE].to_numpy(), rows[LONGITUDE].to_numpy())
    return {"index": np.asarray(index, dtype=np.int64), "weight": np.asarray(weight, dtype=np.float64)}


def hofx(states: Float[Tensor, "b slot channel lat lon"], rows: Mapping[str, Tensor]) -> Float[Tensor, "b q"]:
    """The channel of every row at its place and slot, SI."""
    return at(states, rows["channel"], rows)


def spread(std: Float[Tensor, "slot channel"], rows: Mapping[str, Tensor]) -> Float[Tensor, "b q"]:
    """The error of the channel: that of a weighted mean of neighbours, whose errors are taken as one."""
    return std[rows["slot"], rows["channel"]]


def at(
    states: Float[Tensor, "b slot channel lat lon"], channel: Int64[Tensor, "b q"], rows: Mapping[str, Tensor]
) -> Float[Tensor, "b q"]:
    """Any channel of the state at the place and slot of every row."""
    count, size = states.shape[-3], states.shape[-2] * states.shape[-1]
    position = (rows["slot"] * count + channel)[..., None] * size + rows["index"]
    corners = states.flatten(1).gather(1, position.flatten(1)).unflatten(1, position.shape[1:])
    return (corners * rows["weight"]).sum(-1)


def channel_numbers(rows: pd.DataFrame, channels: Channels) -> Int64[np.ndarray, " q"]:
    """Position of every row's variable and pressure among the channels. ValueError naming what the state lacks."""
    level = (rows[PRESSURE] / 100.0).round(6)
    kind = rows.groupby([rows["variable"], level], dropna=False, sort=False).ngroup().to_numpy()
    if not kind.size:
        return kind.astype(np.int64)
    first = np.unique(kind, return_index=True)[1]
    known = {(c.variable, c.level): i for i, c in enumerate(channels.channels)}
    numbers = []
    for variable, hpa in zip(rows["variable"].iloc[first], level.iloc[first], strict=True):
        key = (variable, None if np.isnan(hpa) else hpa)
        if key not in known:
            where = "the surface" if np.isnan(hpa) else f"{hpa:g} hPa"
            levels = [c.level for c in channels.channels if c.variable == variable]
            raise ValueError(
                f"observation of {variable} at {where}: the state has {variable} at {levels} hPa; "
                "drop these rows or add the level to the config"
            )
        numbers.append(known[key])
    return np.array(numbers, dtype=np.int64)[kind]
