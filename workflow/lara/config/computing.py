"""Sections of the configuration: where dask computes, and with how many bits an archive keeps its variables."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lara.config.sections import Count, Name, Positive, Section
from lara.variables import VARIABLES

Bits = Annotated[int, Field(ge=1, le=23)]


class Dask(Section):
    """Where statistics, scores and monthly means are computed; no result depends on it."""

    scheduler: Literal["threads", "distributed"] = Field(
        "threads", description="threads of the job, or processes of a dask cluster"
    )
    workers: Count | None = Field(None, description="threads or processes; null for one per processor [1]")
    memory_gb: Positive = Field(
        4.0, description="memory of a process of the cluster, which is restarted beyond it [GB]"
    )
    address: str | None = Field(
        None, description="a dask scheduler that runs already, e.g. tcp://node:8786; null starts a cluster per job"
    )

    @model_validator(mode="after")
    def _reached(self) -> Dask:
        if self.address is not None and self.scheduler != "distributed":
            raise ValueError(f"address {self.address} is of a cluster: set scheduler to distributed")
        return self


class Archive(Section):
    """How archived variables are stored."""

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
