"""NMC sampling: differences of forecasts of two lead times valid at the same time.

    d = M_48h x(t - 48 h) - M_24h x(t - 24 h)

After Parrish & Derber (1992, doi:10.1175/1520-0493(1992)120<1747:TNMCSS>2.0.CO;2). Samples are spread evenly over the
stores they are given, which are those of the training period.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from lara.store import StateStore

Forecast = Callable[[Tensor, np.ndarray, int], Tensor]


@dataclass(frozen=True)
class Pairs:
    """A batch of forecasts of two lead times, physical units, with the time at which both are valid."""

    short: Float[Tensor, "b c y x"]
    long: Float[Tensor, "b c y x"]
    valid: np.ndarray


def forecast_pairs(
    stores: Sequence[StateStore], forecast: Forecast, lead_steps: tuple[int, int], count: int, batch: int = 16
) -> Iterator[Pairs]:
    """About `count` pairs in batches; lead_steps = (short, long) in steps.

    `forecast` maps states (b, c, y, x) and their valid times (b,) a number of steps ahead.
    """
    short, long = lead_steps
    each = max(1, count // len(stores))
    for store in stores:
        if len(store.times) <= long:
            raise ValueError(f"store {store.path} has {len(store.times)} times, too few for {long} steps: lengthen it")
        targets = np.unique(np.linspace(long, len(store.times) - 1, each).round().astype(int))
        for part in np.array_split(targets, -(-len(targets) // batch)):
            yield Pairs(
                _forecast(store, part - short, forecast, short),
                _forecast(store, part - long, forecast, long),
                store.times[part],
            )


@torch.no_grad()
def _forecast(store: StateStore, first: np.ndarray, forecast: Forecast, steps: int) -> Tensor:
    return forecast(torch.from_numpy(store.read(first)), store.times[first], steps)
