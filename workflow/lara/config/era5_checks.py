"""Checks of a configuration whose source is ERA5, whichever way it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lara.config import Config

FIRST = datetime(1940, 1, 1)
FINAL_AFTER, PRELIMINARY_AFTER = timedelta(days=60), timedelta(days=5)  # of ERA5, which may be late, and of ERA5T
LEVELS = (1, 2, 3, 5, 7, 10, 20, 30, 50, 70, *range(100, 251, 25), *range(300, 751, 50), *range(775, 1001, 25))  # hPa


def periods(config: Config) -> Iterator[str]:
    """One reanalysis has one course of time: no part of it in two datasets, and no members."""
    if 24 % config.step_hours:
        yield f"step_hours {config.step_hours} does not divide a day: choose 1, 2, 3, 4, 6, 8, 12 or 24"
    for name, dataset in config.datasets.items():
        if dataset.member:
            yield f"datasets.{name}.member {dataset.member}: ERA5 has one member: leave the key out"
        if dataset.begin < FIRST:
            yield f"datasets.{name}.begin {dataset.begin:%Y-%m-%d}: ERA5 begins in 1940: choose a later time"
    for (a, first), (b, second) in combinations(config.datasets.items(), 2):
        if first.begin < second.end and second.begin < first.end:
            yield f"datasets.{b} {second.span} overlaps datasets.{a} {first.span}: part them in time"


def released(config: Config) -> Iterator[str]:
    """ERA5 follows the present by two months at least, ERA5T by five days: what is not there cannot be downloaded."""
    marked = config.source.kind != "simulated" and config.source.preliminary == "mark"
    last = today() - (PRELIMINARY_AFTER if marked else FINAL_AFTER)
    for name, dataset in config.datasets.items():
        if dataset.end <= last:
            continue
        which, there = f"datasets.{name}.end {dataset.end:%Y-%m-%d}", f"is there to {last:%Y-%m-%d} at most"
        mark = not marked and dataset.end <= today() - PRELIMINARY_AFTER
        remedy = "choose an earlier time" + (", or take ERA5T by source.preliminary: mark" if mark else "")
        yield f"{which}: {'ERA5T' if marked else 'ERA5'} {there}: {remedy}"


def today() -> datetime:
    """The present day, UTC, as times of a configuration are written."""
    return datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)


def levels(config: Config) -> Iterator[str]:
    """Every level is one of ERA5's 37."""
    if unknown := [level for level in config.state.levels if level not in LEVELS]:
        yield f"state.levels {unknown} are not among ERA5's {list(LEVELS)} hPa: choose from them"


CHECKS: tuple[Callable[[Config], Iterator[str]], ...] = (periods, released, levels)
