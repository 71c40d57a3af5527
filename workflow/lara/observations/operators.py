"""The observation operator H: bilinear interpolation of one channel of one time slot to the site.

    H(x)_i = sum_j w_ij x[slot_i, channel_i, index_ij],   j = 1..4

H is linear, so autograd through the gather is its exact adjoint (a scatter-add).
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lara.grid import Grid
from lara.observations.table import LATITUDE, LONGITUDE, PRESSURE, TIME
from lara.state import Channels

STEP = np.timedelta64(6, "h")


@dataclass(frozen=True)
class Observations:
    """The p observations of one window, in SI units; row i is row i of the table it was made from.

    A datum that must not be used (missing, rejected or withheld) has an infinite `error_std` and a finite
    value, so that it adds nothing to a cost and nothing to its gradient, while H is still evaluated for it.
    """

    slot: Int64[Tensor, " p"]
    value: Float[Tensor, " p"]
    error_std: Float[Tensor, " p"]
    channel: Int64[Tensor, " p"]
    index: Int64[Tensor, "p 4"]
    weight: Float[Tensor, "p 4"]

    @property
    def used(self) -> Bool[Tensor, " p"]:
        """Which observations carry information."""
        return torch.isfinite(self.error_std)

    def hofx(self, trajectory: Float[Tensor, "*batch slot channel lat lon"]) -> Float[Tensor, "*batch p"]:
        """H(x) in SI units of the states x_k at the slots, differentiable; leading axes are members."""
        channels, points = trajectory.shape[-3], trajectory.shape[-2] * trajectory.shape[-1]
        position = (self.slot * channels + self.channel)[:, None] * points + self.index
        corners = trajectory.flatten(-4).index_select(-1, position.flatten()).unflatten(-1, position.shape)
        return (corners * self.weight).sum(-1)

    def inflate(self, extra_std: Float[Tensor, "slot channel"]) -> Self:
        """The same observations with R = sigma_o^2 + extra_std^2 (representation and model error, SI)."""
        extra = extra_std.to(self.error_std)[self.slot, self.channel]
        return replace(self, error_std=torch.sqrt(self.error_std**2 + extra**2))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same observations elsewhere; `dtype` concerns values, errors and weights."""
        whole = {name: getattr(self, name).to(device) for name in ("slot", "channel", "index")}
        real = {name: getattr(self, name).to(device, dtype) for name in ("value", "error_std", "weight")}
        return replace(self, **whole, **real)


def from_table(
    table: pd.DataFrame, grid: Grid, channels: Channels, slots: np.ndarray, step: np.timedelta64 = STEP
) -> Observations:
    """Observations (float64, on the CPU) of the rows of `table`, in their order.

    A row belongs to the slot with slot - step/2 <= time < slot + step/2. ValueError for a time outside every
    slot and for a variable or pressure that is not among the channels.
    """
    index, weight = grid.interpolation(table[LATITUDE].to_numpy(), table[LONGITUDE].to_numpy())
    value = table["ObsValue"].to_numpy()
    usable = np.isfinite(value) & (table["PreQC"] == 0).to_numpy() & ~table["withheld"].to_numpy(dtype=bool)
    error = np.where(usable, table["ObsError"], np.inf)
    arrays = {
        "slot": _slot_numbers(table[TIME].to_numpy(), slots, step),
        "value": np.where(np.isfinite(value), value, 0.0),
        "error_std": error.astype(np.float64),
        "channel": _channel_numbers(table, channels),
        "index": np.asarray(index, dtype=np.int64),
        "weight": np.asarray(weight, dtype=np.float64),
    }
    return Observations(**{name: torch.from_numpy(array.copy()) for name, array in arrays.items()})


def _slot_numbers(times: np.ndarray, slots: np.ndarray, step: np.timedelta64) -> Int64[np.ndarray, " p"]:
    opening = slots.astype("datetime64[ns]") - step.astype("timedelta64[ns]") // 2
    times = times.astype("datetime64[ns]")
    number = np.searchsorted(opening, times, side="right") - 1
    outside = (number < 0) | (times >= opening[number] + step)
    if outside.any():
        raise ValueError(
            f"observation at {times[outside][0]} lies in no slot of the window {slots[0]} .. {slots[-1]} "
            f"(step {step}): cut the table with observations.table.between first"
        )
    return number.astype(np.int64)


def _channel_numbers(table: pd.DataFrame, channels: Channels) -> Int64[np.ndarray, " p"]:
    level = (table[PRESSURE] / 100.0).round(6)
    kind = table.groupby([table["variable"], level], dropna=False, sort=False).ngroup().to_numpy()
    if not kind.size:
        return kind.astype(np.int64)
    first = np.unique(kind, return_index=True)[1]
    known = {(c.variable, c.level): i for i, c in enumerate(channels.channels)}
    numbers = []
    for variable, hpa in zip(table["variable"].iloc[first], level.iloc[first], strict=True):
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
