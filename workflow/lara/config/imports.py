"""Section of the configuration: what is taken from another run in the place of making it."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from lara.config.sections import Name, Section


class Imports(Section):
    """Results of another run, of the same settings, in the place of making them; that run is only read."""

    run: str | None = Field(
        None,
        description="folder of another run, e.g. results/other, from where snakemake runs; what is taken of it is"
        " proven, and made of the same settings, or refused; null takes nothing",
    )
    networks: tuple[Name, ...] | None = Field(
        None,
        description="networks that are taken, with their errors and with the statistics: autoencoders by name and"
        " `forecaster`; null for all that both configurations name",
    )
    spaces: tuple[Name, ...] | None = Field(
        None,
        description="spaces whose background error is taken: autoencoders by name and `model`; null for all whose"
        " networks are",
    )
    datasets: tuple[Name, ...] | None = Field(
        None,
        description="datasets whose states are taken, as links to that run's; null for all that both configurations"
        " name",
    )

    @model_validator(mode="after")
    def _of_a_run(self) -> Self:
        for key in ("networks", "spaces", "datasets"):
            if getattr(self, key) and self.run is None:
                raise ValueError(
                    f"{key} {list(getattr(self, key))} are of no run: set run to the folder of another run"
                )
        return self
