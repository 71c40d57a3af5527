"""The observation operator H of b windows at once: bilinear interpolation of one channel of one slot to the site.

    H(x)_i = sum_j w_ij x[slot_i, channel_i, index_ij],   j = 1..4

Each member of the batch has its own data, so windows of other times, networks or errors share one call. H is
linear, so autograd through the gather is its exact adjoint (a scatter-add), which can be differentiated again.
An observation is compared with the state at the slot nearest to its time (3D-FGAT within a slot, 4D-Var across).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lara.grid import Grid
from lara.observations.table import LATITUDE, LONGITUDE, PRESSURE, TIME, Flag, prior_flags
from lara.state import Channels

STEP = np.timedelta64(6, "h")


@dataclass(frozen=True)
class Observations:
    """The p observations of each of b windows, in SI units; column i is row i of the table it was made from.

    A datum that must not be used (missing, rejected, withheld or padding) has an infinite `error_std` and a finite
    value, so that it adds nothing to a cost and nothing to its gradient, while H is still evaluated for it.
    """

    slot: Int64[Tensor, "b p"]
    value: Float[Tensor, "b p"]
    error_std: Float[Tensor, "b p"]
    channel: Int64[Tensor, "b p"]
    index: Int64[Tensor, "b p 4"]
    weight: Float[Tensor, "b p 4"]

    @property
    def used(self) -> Bool[Tensor, "b p"]:
        """Which observations carry information."""
        return torch.isfinite(self.error_std)

    def hofx(self, trajectory: Float[Tensor, "b slot channel lat lon"]) -> Float[Tensor, "b p"]:
        """H(x) in SI units of each member's states at the slots, differentiable.

        ValueError when trajectory and observations differ in the number of members, which gather would not notice.
        """
        if len(trajectory) != len(self.value):
            raise ValueError(
                f"a trajectory of {len(trajectory)} members meets observations of {len(self.value)}: "
                "`repeat` or `select` the observations first"
            )
        channels, points = trajectory.shape[-3], trajectory.shape[-2] * trajectory.shape[-1]
        position = (self.slot * channels + self.channel)[..., None] * points + self.index
        corners = trajectory.flatten(1).gather(1, position.flatten(1)).unflatten(1, position.shape[1:])
        return (corners * self.weight).sum(-1)

    def select(self, members: Int64[Tensor, " m"]) -> Self:
        """The observations of some members, in the order asked for."""
        return self._each(lambda field: field.index_select(0, members.to(field.device)))

    def repeat(self, number: int) -> Self:
        """One member's observations for `number` members, as views of the same memory. ValueError for more members."""
        if len(self.value) != 1:
            raise ValueError(
                f"observations of {len(self.value)} members cannot be repeated: `select` one of them first"
            )
        return self._each(lambda field: field.expand(number, *field.shape[1:]))

    def inflate(self, extra_std: Float[Tensor, "slot channel"]) -> Self:
        """The same observations with R = sigma_o^2 + extra_std^2 (representation and model error, SI)."""
        extra = extra_std.to(self.error_std)[self.slot, self.channel]
        return replace(self, error_std=torch.sqrt(self.error_std**2 + extra**2))

    def without(self, rejected: Bool[Tensor, "b p"]) -> Self:
        """The same observations with an infinite error where rejected."""
        return replace(self, error_std=self.error_std.masked_fill(rejected, torch.inf))

    def perturbed(self, generators: Sequence[np.random.Generator]) -> Self:
        """Values y + sigma_o eps, eps ~ N(0, 1), with the total `error_std` and one generator per member.

        A member's errors depend on its generator alone, whoever else is in the batch and however long its padding.
        Data that are not used keep their value. ValueError unless there is one generator for every member.
        """
        if len(generators) != len(self.value):
            raise ValueError(f"{len(generators)} generators for {len(self.value)} members: give one to each")
        draws = np.stack([generator.standard_normal(self.value.shape[1]) for generator in generators])
        noise = torch.from_numpy(draws).to(self.value) * self.error_std
        return replace(self, value=torch.where(self.used, self.value + noise, self.value))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Self:
        """The same observations elsewhere; `dtype` concerns values, errors and weights."""
        return self._each(lambda field: field.to(device, dtype if field.is_floating_point() else None))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        return replace(self, **{field.name: change(getattr(self, field.name)) for field in fields(self)})


def stack(parts: Sequence[Observations]) -> Observations:
    """The members of all parts in one batch, padded to the longest with data that are not used.

    Padding has an infinite error and zero weights: H is zero there. ValueError when there are no parts.
    """
    if not parts:
        raise ValueError("no observations to stack: give at least one window's")
    longest = max(part.value.shape[1] for part in parts)
    joined = {
        field.name: torch.cat([_padded(getattr(part, field.name), longest, field.name) for part in parts])
        for field in fields(Observations)
    }
    return Observations(**joined)


def _padded(field: Tensor, length: int, name: str) -> Tensor:
    shape = (len(field), length - field.shape[1], *field.shape[2:])
    return torch.cat([field, field.new_full(shape, torch.inf if name == "error_std" else 0)], dim=1)


def from_table(
    table: pd.DataFrame,
    grid: Grid,
    channels: Channels,
    slots: np.ndarray,
    step: np.timedelta64 = STEP,
    fresh_from: np.datetime64 | None = None,
) -> Observations:
    """Observations (float64, on the CPU) of the rows of `table` in their order, a batch of one.

    A row belongs to the slot with slot - step/2 <= time < slot + step/2. Rows before `fresh_from` were used by an
    earlier window and are not used again. ValueError for a time outside every slot and for a variable or pressure
    that is not among the channels.
    """
    index, weight = grid.interpolation(table[LATITUDE].to_numpy(), table[LONGITUDE].to_numpy())
    value = table["ObsValue"].to_numpy()
    usable = prior_flags(table, fresh_from) == Flag.PASS
    arrays = {
        "slot": _slot_numbers(table[TIME].to_numpy(), slots, step),
        "value": np.where(np.isfinite(value), value, 0.0),
        "error_std": np.where(usable, table["ObsError"], np.inf).astype(np.float64),
        "channel": _channel_numbers(table, channels),
        "index": np.asarray(index, dtype=np.int64),
        "weight": np.asarray(weight, dtype=np.float64),
    }
    return Observations(**{name: torch.from_numpy(array.copy())[None] for name, array in arrays.items()})


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
