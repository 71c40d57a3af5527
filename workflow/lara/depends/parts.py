"""Parts of a dataset: stretches of days that one job each has made, so that a longer period makes what is new alone.

A dataset is one part until its period grows. Then the parts whose receipts are there stay, and the rest is another: two
days more of a dataset of January and February 2001 make `20010101-20010301` and `20010301-20010303` of it. What is
downloaded comes by the month, and a month that grows is downloaded again: there, a last month that is not whole is a
part of its own, which is made again when it grows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from lara.config import Config
from lara.layout import Layout

_DAY = "%Y%m%d"


@dataclass(frozen=True, order=True)
class Part:
    """A stretch [begin, end) of days of a dataset."""

    begin: datetime
    end: datetime

    @property
    def name(self) -> str:
        """Its name among the parts of its dataset, such as "20010101-20010301"."""
        return f"{self.begin:{_DAY}}-{self.end:{_DAY}}"

    @property
    def is_cut(self) -> bool:
        """Whether it ends within a month."""
        return self.end.day != 1

    def overlaps(self, begin: datetime, end: datetime) -> bool:
        """Whether it holds any of [begin, end)."""
        return self.begin < end and begin < self.end


def parse(label: str) -> Part:
    """The part of a name, or of a label such as "test/20010101-20010301". ValueError for what is none."""
    first, _, last = label.rpartition("/")[2].partition("-")
    try:
        return Part(datetime.strptime(first, _DAY), datetime.strptime(last, _DAY))
    except ValueError:
        raise ValueError(f"'{label}' is no part of a dataset: write it like 20010101-20010301") from None


def parts(config: Config, layout: Layout, dataset: str) -> list[Part]:
    """The parts of a dataset in order: those that receipts say were made, then the rest of its period."""
    begin, end, monthly = config.datasets[dataset].begin, config.datasets[dataset].end, config.source.needs_download
    found = [part for part in _made(layout, dataset) if part.end <= end]
    if monthly:
        found = [part for part in found if part.end == end or not part.is_cut]
    told: list[Part] = []
    while begin < end:
        here = [part for part in found if part.begin == begin]
        told.append(max(here, default=_rest(begin, end, monthly)))
        begin = told[-1].end
    return told


def _rest(begin: datetime, end: datetime, monthly: bool) -> Part:
    """The next part of what is not made yet: all of it, or its whole months."""
    last = end.replace(day=1)
    return Part(begin, last if monthly and begin < last else end)


def _made(layout: Layout, dataset: str) -> Iterator[Part]:
    suffix = ".receipt.json"
    for file in layout.dataset_part(dataset, "any").parent.glob(f"*{suffix}"):
        yield parse(file.name.removesuffix(suffix))
