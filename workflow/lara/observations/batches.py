"""Observations of b windows at once, as the assimilation takes them, each with the operator H of its type.

Each member of the batch has its own data, so windows of other times, networks or errors share one call. Data of one
operator are a part of the batch: H of a part is one call, whose results go to the columns of its data.
An observation is compared with the state at the slot nearest to its time (3D-FGAT within a slot, 4D-Var across).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from lara.grid import Grid
from lara.observations.columns import STATION_TYPE, TIME
from lara.observations.flags import Flag
from lara.observations.operators import KINDS, Operator, Rows
from lara.observations.table import prior_flags
from lara.state import Channels

STEP = np.timedelta64(6, "h")
PADDING = -1  # column of rows that pad a part


@dataclass(frozen=True)
class Part:
    """The data of one operator: the columns of the batch they belong to, PADDING for none, and what H needs of them."""

    operator: Operator
    column: Int64[Tensor, "b q"]
    rows: Rows

    def each(self, change: Callable[[Tensor], Tensor]) -> Self:
        """The same change to every tensor."""
        rows = {name: change(field) for name, field in self.rows.items()}
        return replace(self, column=change(self.column), rows=rows)

    def padded(self, length: int) -> Self:
        """The same with so many columns."""
        column = _padded(self.column, length, PADDING)
        return replace(self, column=column, rows={name: _padded(field, length) for name, field in self.rows.items()})


@dataclass(frozen=True)
class ObservationBatch:
    """The p observations of each of b windows, in SI units; column i is row i of the table it was made from.

    A datum that must not be used (missing, rejected, withheld or padding) has an infinite `error_std` and a finite
    value, so that it adds nothing to a cost and nothing to its gradient, while H is still evaluated for it.
    """

    slot: Int64[Tensor, "b p"]
    value: Float[Tensor, "b p"]
    error_std: Float[Tensor, "b p"]
    parts: tuple[Part, ...]

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
        return self._joined([part.operator.hofx(trajectory, part.rows) for part in self.parts])

    def spread(self, std: Float[Tensor, "slot channel"]) -> Float[Tensor, "b p"]:
        """Standard error of H(x) where the channels of a state have errors of `std`, SI; zero where padded."""
        return self._joined([part.operator.spread(std, part.rows) for part in self.parts])

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
        extra = self.spread(extra_std.to(self.error_std))
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
        """The same observations elsewhere; `dtype` concerns real numbers alone."""
        return self._each(lambda field: field.to(device, dtype if field.is_floating_point() else None))

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        parts = tuple(part.each(change) for part in self.parts)
        return replace(
            self, slot=change(self.slot), value=change(self.value), error_std=change(self.error_std), parts=parts
        )

    def _joined(self, found: Sequence[Float[Tensor, "b q"]]) -> Float[Tensor, "b p"]:
        """What the parts give, in the columns of the batch; zero in columns that no part has."""
        members, columns = self.value.shape
        if not found:
            return self.value.new_zeros(members, columns)
        whole = found[0].new_zeros(members, 1 + columns)  # the first one takes what padding gives
        for part, values in zip(self.parts, found, strict=True):
            whole = whole.scatter(1, part.column + 1, values.to(whole.dtype))
        return whole[:, 1:]


def stack(batches: Sequence[ObservationBatch]) -> ObservationBatch:
    """The members of all batches in one, padded to the longest with data that are not used.

    Padding has an infinite error, and H is zero there. ValueError when there are no batches.
    """
    if not batches:
        raise ValueError("no observations to stack: give at least one window's")
    longest = max(batch.value.shape[1] for batch in batches)
    return ObservationBatch(
        slot=torch.cat([_padded(batch.slot, longest) for batch in batches]),
        value=torch.cat([_padded(batch.value, longest) for batch in batches]),
        error_std=torch.cat([_padded(batch.error_std, longest, torch.inf) for batch in batches]),
        parts=_stacked_parts(batches),
    )


def _stacked_parts(batches: Sequence[ObservationBatch]) -> tuple[Part, ...]:
    """One part per operator of any batch; a batch without its data has padding alone."""
    first = {id(part.operator): part for batch in reversed(batches) for part in batch.parts}
    return tuple(_stacked_part(model, batches) for model in first.values())


def _stacked_part(model: Part, batches: Sequence[ObservationBatch]) -> Part:
    own = [_part_like(model, batch) for batch in batches]
    longest = max(part.column.shape[1] for part in own)
    padded = [part.padded(longest) for part in own]
    rows = {name: torch.cat([part.rows[name] for part in padded]) for name in model.rows}
    return Part(model.operator, torch.cat([part.column for part in padded]), rows)


def _part_like(model: Part, batch: ObservationBatch) -> Part:
    """A batch's data of the operator that `model` has, none where it has none."""
    for part in batch.parts:
        if part.operator is model.operator:
            return part
    return model.each(lambda field: field.new_zeros(len(batch.value), 0, *field.shape[2:]))


def _padded(field: Tensor, length: int, filling: float = 0) -> Tensor:
    shape = (len(field), length - field.shape[1], *field.shape[2:])
    return torch.cat([field, field.new_full(shape, filling)], dim=1)


def from_table(
    table: pd.DataFrame,
    grid: Grid,
    channels: Channels,
    slots: np.ndarray,
    step: np.timedelta64 = STEP,
    fresh_from: np.datetime64 | None = None,
) -> ObservationBatch:
    """Observations (float64, on the CPU) of the rows of `table` in their order, a batch of one.

    A row belongs to the slot with slot - step/2 <= time < slot + step/2. Rows before `fresh_from` were used by an
    earlier window and are not used again. ValueError for a time outside every slot and, from the operators, for what
    the state has no channels for.
    """
    value, usable = table["ObsValue"].to_numpy(), prior_flags(table, fresh_from) == Flag.PASS
    slot = _slot_numbers(table[TIME].to_numpy(), slots, step)
    return ObservationBatch(
        slot=_alone(slot),
        value=_alone(np.where(np.isfinite(value), value, 0.0)),
        error_std=_alone(np.where(usable, table["ObsError"], np.inf).astype(np.float64)),
        parts=tuple(_parts(table, slot, grid, channels)),
    )


def _parts(table: pd.DataFrame, slot: Int64[np.ndarray, " p"], grid: Grid, channels: Channels) -> Iterator[Part]:
    """The rows of each operator that has any."""
    kinds = table[STATION_TYPE]
    for operator in {id(KINDS[kind]): KINDS[kind] for kind in kinds.unique()}.values():
        own = np.flatnonzero(kinds.isin([kind for kind, one in KINDS.items() if one is operator]))
        rows = {**operator.place(table.iloc[own], grid, channels), "slot": slot[own]}
        yield Part(operator, _alone(own), {name: _alone(array) for name, array in rows.items()})


def _alone(array: np.ndarray) -> Tensor:
    """A batch of one."""
    return torch.from_numpy(array.copy())[None]


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
