"""Sections of the configuration: how cycled experiments are cut into jobs, and how often a job can go on from."""

from __future__ import annotations

from pydantic import Field

from lara.config.sections import Count, Section


class Production(Section):
    """How long runs survive being killed. No number of an analysis depends on it."""

    checkpoint_every: Count = Field(
        10, description="windows between checkpoints, from the last of which a killed job goes on [1]"
    )
