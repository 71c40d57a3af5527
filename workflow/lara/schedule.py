"""Schedule of a training: its stages, in each a linear warm-up and a cosine decay of the learning rate.

For example `Plan(stages=(Stage(2500, 2e-3, 1), Stage(300, 3e-4, 8)), ...)` trains on single steps and then on rollouts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Stage:
    """A stretch of steps with one rollout and one learning-rate cycle."""

    steps: int
    learning_rate: float
    rollout: int


@dataclass(frozen=True)
class Plan:
    """A training run in numbers; every field counts in steps or is dimensionless. `precision` is lightning-fabric's."""

    stages: tuple[Stage, ...]
    batch_size: int
    weight_decay: float
    second_moment_decay: float
    warm_up: float
    clip: float
    checkpoint_every: int
    validate_every: int
    validation_samples: int
    seed: int
    precision: str

    @property
    def steps(self) -> int:
        """Optimiser steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def passes(self, step: int) -> int:
        """Passes through the network of each sample in the first so many steps, to which their time is proportional."""
        before, passes = 0, 0
        for stage in self.stages:
            passes += min(max(step - before, 0), stage.steps) * stage.rollout
            before += stage.steps
        return passes

    def stage(self, step: int) -> tuple[Stage, int]:
        """Stage that holds a step, and the step within it."""
        first = 0
        for stage in self.stages:
            if step < first + stage.steps:
                return stage, step - first
            first += stage.steps
        raise IndexError(f"step {step} is past the {self.steps} steps of the plan")

    def learning_rate(self, step: int) -> float:
        """Warm-up and cosine decay to zero within the stage."""
        stage, within = self.stage(step)
        warm = max(1, round(self.warm_up * stage.steps))
        if within < warm:
            return stage.learning_rate * (within + 1) / warm
        return stage.learning_rate * 0.5 * (1 + math.cos(math.pi * (within - warm) / max(1, stage.steps - warm)))
