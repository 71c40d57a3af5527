"""Work in parts on dask: threads of this process or a cluster, as the configuration says, with the same results.

A part is a stretch of times, and what is done to it does not depend on the others: results are the same to the bit
whatever computes them, and a worker holds a day of states at a time, however long the archive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import dask
import numpy as np

from lara.config import Dask

Result = TypeVar("Result")
DAY = np.timedelta64(1, "D")


@contextmanager
def client(chosen: Dask) -> Iterator[None]:
    """Where dask computes what is asked for within the block."""
    if chosen.scheduler == "threads":
        with dask.config.set(scheduler="threads", num_workers=chosen.workers):
            yield
        return
    from distributed import Client, LocalCluster  # slow to import, and seldom asked for

    if chosen.address is not None:
        with Client(chosen.address):
            yield
        return
    cluster = LocalCluster(
        n_workers=chosen.workers,
        threads_per_worker=1,
        memory_limit=round(chosen.memory_gb * 1e9),
        dashboard_address=None,
    )
    with cluster, Client(cluster):
        yield


def each(function: Callable[[np.ndarray], Result], parts: Sequence[np.ndarray]) -> list[Result]:
    """`function` of every part, within a `client`; what it needs beside its part is bound to it by `partial`."""
    return list(dask.compute(*(dask.delayed(function, pure=False)(part) for part in parts)))


def months(times: np.ndarray) -> list[np.ndarray]:
    """Times (datetime64) in order by calendar month."""
    return _split(times, times.astype("M8[M]"))


def days(times: np.ndarray) -> list[np.ndarray]:
    """The same by day."""
    return _split(times, times.astype("M8[D]"))


def _split(times: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    return np.split(times, np.flatnonzero(labels[1:] != labels[:-1]) + 1)
