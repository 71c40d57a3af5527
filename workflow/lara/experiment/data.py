"""Data of a run: the states of each dataset, and the statistics of the training period."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lara import normalise, receipts, store
from lara.experiment.run import Run, time, time_range
from lara.sources import simulated


def generate_dataset(run: Run, dataset: str, report: Callable[[int, int], None]) -> None:
    """Fill a dataset month by month from its source; months already sealed are kept."""
    chosen, path = run.config.datasets[dataset], run.layout.dataset(dataset)
    begin, end = time(chosen.begin), time(chosen.end)
    times = time_range(chosen.begin, chosen.end, run.step)
    lay_out(run, dataset, times)
    resume = first_unsealed_month(path, begin, end)
    if resume is not None:
        months = simulated.months(
            simulation(run), chosen.member, begin, end, run.config.state.levels, run.layout.restarts, report, resume
        )
        for _, states in months:
            first = int(np.searchsorted(times, states["time"].values[0]))
            if not np.array_equal(states["time"].values, times[first : first + states.sizes["time"]]):
                raise ValueError(f"the source gives times from {states['time'].values[0]} that {path} does not have")
            store.write_block(path, first, run.channels.from_dataset(states))
            store.seal(path, str(states["time"].values[0])[:10], first, states.sizes["time"])
    whole = store.open_state(path, begin, end)
    receipts.write(
        run.layout.dataset_receipt(dataset),
        dataset=dataset,
        begin=str(begin),
        end=str(end),
        count=len(whole),
        content=store.content_digest(path),
    )


def lay_out(run: Run, dataset: str, times: np.ndarray) -> None:
    """The store of a dataset: as it was if made by the same source, member and seed, else emptied."""
    path, chosen = run.layout.dataset(dataset), run.config.datasets[dataset]
    made_by = {"source": run.config.source.model_dump_json(), "member": chosen.member, "seed": run.config.seed}
    try:
        store.create(path, run.grid, run.channels, times, made_by)
    except store.StoreError as fault:
        logging.getLogger(__name__).warning("%s; it is generated anew", fault)
        store.discard(path)
        store.create(path, run.grid, run.channels, times, made_by)


def first_unsealed_month(path: Path, begin: np.datetime64, end: np.datetime64) -> np.datetime64 | None:
    """Beginning of the first calendar month of [begin, end) that is not whole in the store; None if all are."""
    months = np.arange(begin.astype("M8[M]") + 1, end.astype("M8[M]") + 1).astype("M8[ns]")
    starts = [begin, *(month for month in months if month < end)]
    for first, last in zip(starts, [*starts[1:], end], strict=True):
        try:
            store.open_state(path, first, last)
        except store.StoreError:
            return first
    return None


def simulation(run: Run) -> simulated.Simulation:
    """The simulated source as configured."""
    source = run.config.source
    return simulated.Simulation(
        truncation=source.truncation,
        layers=source.layers,
        time_step_minutes=source.time_step_minutes,
        spin_up_days=source.spin_up_days,
        perturbation=source.perturbation,
        seed=run.config.seed,
    )


def compute_statistics(run: Run) -> None:
    """Climatology and scales over the training datasets."""
    normalise.save(normalise.compute(run.stores("training")), run.layout.statistics)
