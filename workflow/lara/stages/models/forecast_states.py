"""Forecasts as training states: what an autoencoder learns from where no reanalysis is at hand.

    x(t) = M_l x_train(t − l),    first ≤ l < last

Every time of a training dataset from `first` on gets one forecast: one starts each last − first days and is kept from
lead time `first` on, until the next takes over. The store so has as many states as the dataset, less its first days,
and an autoencoder trained on it differs from another in nothing but what it has seen. After the experiment of Fan et
al. (2026, doi:10.1126/sciadv.aea4248) with an autoencoder of forecasts. Forecasts never leave a training dataset.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from jaxtyping import Float32

from lara import receipts, store
from lara.stages.networks import RunWithNetworks
from lara.stages.run import time_range

BATCH = 8  # forecasts run at once; all their states are held
Report = Callable[[int, int], None]


def forecast_states(run: RunWithNetworks, name: str, report: Report) -> None:
    """Write the forecasts that an autoencoder is trained on, a store per training dataset, and their receipt."""
    days = run.config.autoencoders[name].forecast_days
    if days is None:
        raise ValueError(f"autoencoders.{name} is trained on states: set its forecast_days to train it on forecasts")
    datasets, content = run.config.using("training"), {}
    for number, dataset in enumerate(datasets):
        for done, total in fill(run, name, dataset, days):
            report(number * total + done, len(datasets) * total)
        content[dataset] = store.content_digest(run.layout.forecast_states(name, dataset))
    receipts.write(run.layout.forecast_states_receipt(name), lead_days=list(days), content=content)


def fill(run: RunWithNetworks, name: str, dataset: str, days: tuple[int, int]) -> Iterator[tuple[int, int]]:
    """Forecasts from one dataset, anew; yields those done and their number.

    Where a state to start from is missing, the times it would reach are gaps.
    """
    chosen, source, path = run.config.datasets[dataset], run.store(dataset), run.layout.forecast_states(name, dataset)
    short, long = (24 * number // run.config.step_hours for number in days)
    times = time_range(chosen.begin, chosen.end, run.step)[short:]
    store.discard(path)
    store.create(path, run.grid, run.channels, times)
    first = np.arange(0, len(times), long - short)
    inits = times[first] - short * run.step
    held = np.isin(inits, source.times)
    for part in np.array_split(np.flatnonzero(held), -(-held.sum() // BATCH)):
        states = forecasts(run, source.at(inits[part]), inits[part], short, long)
        for begin, one in zip(first[part], states, strict=True):
            store.write_block(path, int(begin), one[: len(times) - begin])
        yield int(part[-1]) + 1, len(inits)
    lost = np.flatnonzero(~held[np.arange(len(times)) // (long - short)])
    store.seal(path, "all", 0, len(times), gaps=dict.fromkeys(lost.tolist(), "no state to start a forecast from"))


@torch.no_grad()
def forecasts(
    run: RunWithNetworks, start: Float32[np.ndarray, "b c y x"], inits: np.ndarray, short: int, long: int
) -> Float32[np.ndarray, "b k c y x"]:
    """States `short` … `long` − 1 steps after `inits` (b,), SI units."""
    state, kept = run.tensor(start), []
    for step in range(long):
        if step >= short:
            kept.append(state.cpu())
        state = run.forecast_step(state, inits + step * run.step)
    return torch.stack(kept, 1).numpy()
