"""Section of the configuration: where dask computes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from lara.config.sections import Count, Positive, Section


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
