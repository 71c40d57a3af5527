"""Sections of the configuration: how cycled experiments are cut into jobs, saved on their way, and archived.

A stream is a chain of jobs that begins from a background of its own; streams run side by side. Its spin-up is cycled
and not published, so that what is published of it has forgotten its start.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated

from pydantic import Field, model_validator

from lara.config.experiments import Comparison
from lara.config.sections import Count, Moment, Name, Section
from lara.variables import VARIABLES

Bits = Annotated[int, Field(ge=1, le=23)]


class Stream(Section):
    """A stretch of an experiment's period, cycled by a chain of jobs."""

    begin: Moment = Field(description="first time it publishes [UTC]")
    end: Moment = Field(description="end of what it publishes, itself excluded [UTC]")
    spin_up_days: int = Field(0, ge=0, description="cycled before its begin and not published [days]")
    chunk_days: Count | None = Field(None, description="length of a job; null for calendar months [days]")

    @property
    def first(self) -> datetime:
        """Begin of its cycling."""
        return self.begin - timedelta(days=self.spin_up_days)

    @property
    def cuts(self) -> list[datetime]:
        """Begin and end of its jobs; one ends where publication begins."""
        if self.chunk_days is None:
            inner = _months(self.first, self.end)
        else:
            step = timedelta(days=self.chunk_days)
            inner = [*_every(step, self.first, self.begin), *_every(step, self.begin, self.end)]
        return sorted({self.first, *inner, self.begin, self.end})

    @model_validator(mode="after")
    def _lasts(self) -> Stream:
        if self.end <= self.begin:
            raise ValueError(f"a stream ends at {self.end:%Y-%m-%dT%H:%M}, not after its begin: move the end")
        return self


class Production(Comparison):
    """How long runs are cut into jobs and survive being killed, and how the suite `production` is scored."""

    checkpoint_every: Count = Field(
        10, description="windows between checkpoints, from the last of which a killed job goes on [1]"
    )
    streams: dict[Name, dict[Name, Stream]] = Field(
        default_factory=dict,
        description="streams by experiment and name, which tile its period; an experiment not named is one job",
    )

    def later(self, experiment: str) -> dict[str, Stream]:
        """Streams of an experiment that begin where another ends."""
        return dict(list(self.streams.get(experiment, {}).items())[1:])

    def chunks(self, experiment: str) -> list[Chunk]:
        """Jobs of an experiment, stream by stream in order; none where it is one job."""
        return [chunk for name, one in self.streams.get(experiment, {}).items() for chunk in _chunks(name, one)]


class Attribution(Section):
    """What archives say of themselves, in the names of ACDD-1.3 and CF-1.11; no analysis depends on it."""

    title: str | None = Field(None, description="what it is, in a line; null names run, experiment and method")
    summary: str | None = Field(None, description="what it is, in a paragraph; null names the method and its windows")
    keywords: str | None = Field(None, description="words to find it by, with commas between them")
    institution: str | None = Field(None, description="where it was made")
    source: str | None = Field(None, description="how it was made; null names the method and the networks' data")
    references: str | None = Field(None, description="publications that describe it; null names that of the method")
    license: str | None = Field(None, description="terms of its use: an SPDX name, an address or a text")
    acknowledgement: str | None = Field(None, description="whom its users are to thank")
    history: str | None = Field(None, description="what has become of it since, line by line")
    comment: str | None = Field(None, description="whatever else is to be known")
    project: str | None = Field(None, description="project that it was made for")
    creator_name: str | None = Field(None, description="who made it")
    creator_email: str | None = Field(None, description="address for questions")
    creator_url: str | None = Field(None, description="page of who made it")
    publisher_name: str | None = Field(None, description="who distributes it")
    publisher_email: str | None = Field(None, description="address of who distributes it")
    publisher_url: str | None = Field(None, description="page of who distributes it")


class Archive(Section):
    """How archived variables are stored, and what is said of them."""

    attributes: Attribution = Field(Attribution(), description="whose archives are, and on what terms")

    keepbits: dict[Name, Bits] = Field(
        default_factory=dict,
        description="bits of the mantissa kept of a variable, by short name, of 23: rounded to the nearest, a relative"
        " error of at most 2^-(bits+1), and compressed by zstd; all bits and no compression of small chunks where"
        " unnamed [1]",
    )

    @model_validator(mode="after")
    def _known(self) -> Archive:
        for name in self.keepbits:
            if name not in VARIABLES:
                raise ValueError(f"keepbits.{name}: '{name}' is not a variable: use {', '.join(VARIABLES)}")
        return self


@dataclass(frozen=True)
class Chunk:
    """A job of a stream: its cycling covers [begin, end); `before` names the chunk it goes on from, None the first."""

    stream: str
    begin: datetime
    end: datetime
    published: bool
    before: str | None

    @property
    def name(self) -> str:
        """Its begin, as a file name."""
        return f"{self.begin:%Y%m%dT%H}"


def _chunks(name: str, stream: Stream) -> list[Chunk]:
    found: list[Chunk] = []
    for begin, end in zip(stream.cuts, stream.cuts[1:], strict=False):
        found.append(Chunk(name, begin, end, begin >= stream.begin, found[-1].name if found else None))
    return found


def _months(begin: datetime, end: datetime) -> list[datetime]:
    """First instants of months between two times."""
    count = range(12 * begin.year + begin.month, 12 * end.year + end.month)
    starts = [datetime(number // 12, number % 12 + 1, 1) for number in count]
    return [start for start in starts if begin < start < end]


def _every(step: timedelta, begin: datetime, end: datetime) -> list[datetime]:
    return [begin + k * step for k in range(-((begin - end) // step))]
