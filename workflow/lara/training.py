"""Training: one loop for every network, resumable to the same weights.

AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101) with a linear warm-up and a cosine decay in each phase, gradients
clipped by norm. What a step sees depends on (seed, step) alone, so a run resumed from a checkpoint repeats the
uninterrupted one exactly. lightning-fabric places the network on devices, averages gradients over processes and sets
precision; each process takes its share of the same batch and noise, so that their number changes rounding alone.
"""

from __future__ import annotations

import csv
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np
import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from torch import Tensor, nn

from lara.checkpoints import Checkpoints
from lara.schedule import Plan
from lara.store import StateStore

_LOG = logging.getLogger(__name__)
Noise = Callable[[torch.Size], Tensor]  # shape to standard normal noise of a step
# (network, batch, noise of the step) to the loss; no noise where the network is validated
Loss = Callable[[nn.Module, Tensor, Noise | None], Tensor]
Report = Callable[[int, int, float], None]


class Sequences:
    """Stretches of consecutive states drawn from stores, none crossing a gap or from one store to another."""

    def __init__(self, stores: Sequence[StateStore], length: int) -> None:
        self.stores, self.length = [part for store in stores for part in store.stretches()], length
        counts = [max(0, len(store.times) - length + 1) for store in self.stores]
        self.ends = np.cumsum(counts)
        if not self.ends[-1]:
            raise ValueError(f"no store holds {length} consecutive states: lengthen the dataset or shorten the rollout")

    def __len__(self) -> int:
        return int(self.ends[-1])

    def read(self, numbers: Iterable[int]) -> Float[np.ndarray, "b k c y x"]:
        """Sequences by number, physical units."""
        return np.stack([self._one(int(number)) for number in numbers])

    def begins(self, numbers: Iterable[int]) -> np.ndarray:
        """Times of the first states of sequences, datetime64 (b,)."""
        places = [self._place(int(number)) for number in numbers]
        return np.array([self.stores[which].times[first] for which, first in places])

    def _one(self, number: int) -> np.ndarray:
        which, first = self._place(number)
        return self.stores[which].read(slice(first, first + self.length))

    def _place(self, number: int) -> tuple[int, int]:
        """Store of a sequence and position of its first state there."""
        which = int(np.searchsorted(self.ends, number, side="right"))
        return which, number - (int(self.ends[which - 1]) if which else 0)


def batches(
    samples: Mapping[int, Sequences], plan: Plan, first: int, rank: int = 0, world: int = 1
) -> Iterator[Float[Tensor, "b k c y x"]]:
    """This process's share of the batch of each step from `first` on, read ahead by a thread."""

    def load(step: int) -> Tensor:
        chosen = samples[plan.stage(step)[0].rollout]
        order = np.random.default_rng([plan.seed, step]).choice(
            len(chosen), plan.batch_size, replace=len(chosen) < plan.batch_size
        )
        return torch.from_numpy(chosen.read(order[rank::world]))

    with ThreadPoolExecutor(1) as reader:
        ahead = [reader.submit(load, step) for step in range(first, min(first + 2, plan.steps))]
        for step in range(first, plan.steps):
            if step + 2 < plan.steps:
                ahead.append(reader.submit(load, step + 2))
            yield ahead.pop(0).result()


class Trainer:
    """A network in training: model and optimiser on their devices, with the step they have reached.

    `identity` is a digest of all the result depends on; a checkpoint of another identity is not resumed from.
    """

    def __init__(
        self,
        fabric: Fabric,
        model: nn.Module,
        groups: list[dict[str, Any]],
        plan: Plan,
        folder: Path,
        identity: str,
    ) -> None:
        if plan.batch_size % fabric.world_size:
            raise ValueError(
                f"batch_size {plan.batch_size} cannot be shared by {fabric.world_size} processes: choose a number of "
                "processes that divides it"
            )
        self.fabric, self.plan, self.identity = fabric, plan, identity
        for group in groups:
            group.setdefault("rate", 1.0)
        betas = (0.9, plan.second_moment_decay)
        optimiser = torch.optim.AdamW(
            groups, lr=plan.learning_rate(0), betas=betas, weight_decay=plan.weight_decay, fused=True
        )
        self.model, self.optimiser = fabric.setup(model, optimiser)
        self.step, self.curve = 0, Curve(folder, active=fabric.is_global_zero)
        self.checkpoints = Checkpoints(folder)

    def run(
        self,
        samples: Mapping[int, Sequences],
        held_out: Float[Tensor, "b k c y x"],
        loss: Loss,
        report: Report,
    ) -> None:
        """Train from the last checkpoint of this identity, or from the start, to the end of the plan."""
        self._resume()
        for batch in batches(samples, self.plan, self.step, self.fabric.global_rank, self.fabric.world_size):
            value = self._advance(self.fabric.to_device(batch), loss)
            self.curve.training(self.step, value, self.plan.learning_rate(self.step - 1))
            report(self.step, self.plan.steps, value)
            last = self.step == self.plan.steps
            if last or self.step % self.plan.validate_every == 0:
                length = samples[self.plan.stage(self.step - 1)[0].rollout].length
                self.curve.validation(self.step, self._validate(held_out[:, :length], loss))
            if last or self.step % self.plan.checkpoint_every == 0:
                self._checkpoint()

    def _advance(self, batch: Tensor, loss: Loss) -> float:
        rate = self.plan.learning_rate(self.step)
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["rate"]
        self.optimiser.zero_grad(set_to_none=True)
        value = loss(self.model, batch, self._noise())
        mean = float(cast(Tensor, self.fabric.all_reduce(value.detach(), reduce_op="mean")))
        if not math.isfinite(mean):  # of all processes, so that all stop
            raise FloatingPointError(f"training loss is {mean} at step {self.step}: lower the learning rate")
        self.fabric.backward(value)
        self.fabric.clip_gradients(self.model, self.optimiser, max_norm=self.plan.clip)
        self.optimiser.step()
        self.step += 1
        return mean

    def _noise(self) -> Noise:
        """Noise of this step, the same when a resumed run repeats it: this process's share of that of the batch."""
        identity = np.random.default_rng([self.plan.seed, self.step, 0, 1])
        stream = torch.Generator().manual_seed(int(identity.integers(2**62)))
        rank, world = self.fabric.global_rank, self.fabric.world_size

        def draw(shape: torch.Size) -> Tensor:
            return torch.randn(shape[0] * world, *shape[1:], generator=stream)[rank::world]

        return draw

    @torch.no_grad()
    def _validate(self, held_out: Tensor, loss: Loss) -> float:
        parts = [loss(self.model, self.fabric.to_device(part), None) for part in held_out.split(self.plan.batch_size)]
        sizes = [len(part) for part in held_out.split(self.plan.batch_size)]
        return float(sum(float(p) * n for p, n in zip(parts, sizes, strict=True)) / sum(sizes))

    def _checkpoint(self) -> None:
        state = {"model": self.model, "optimizer": self.optimiser, "step": self.step}
        self.checkpoints.save(self.fabric, state, self.step, self.identity, self.plan.precision)

    def _resume(self) -> None:
        state = self.checkpoints.load(self.fabric, self.identity)
        if state is not None:
            self.model.load_state_dict(state["model"])
            self.optimiser.load_state_dict(state["optimizer"])
            self.step = state["step"]
            _LOG.info("training goes on after step %d", self.step)
        self.curve.keep_until(self.step)


class Curve:
    """Learning curves as CSV: `training.csv` (step, loss, learning_rate) and `validation.csv` (step, loss)."""

    HEADS: ClassVar = {"training": ["step", "loss", "learning_rate"], "validation": ["step", "loss"]}

    def __init__(self, folder: Path, active: bool = True) -> None:
        self.folder, self.active = folder, active
        folder.mkdir(parents=True, exist_ok=True)

    def training(self, step: int, loss: float, learning_rate: float) -> None:
        """Append the loss of one step."""
        self._append("training", [step, loss, learning_rate])

    def validation(self, step: int, loss: float) -> None:
        """Append the held-out loss after one step."""
        self._append("validation", [step, loss])

    def keep_until(self, step: int) -> None:
        """Drop rows after the step a run resumes from."""
        for name, head in self.HEADS.items() if self.active else ():
            path, part = self.folder / f"{name}.csv", self.folder / f"{name}.part"
            text = path.read_text(errors="replace") if path.exists() else ""
            rows = list(csv.reader(text.splitlines()))[1:]
            kept = [row for row in rows if len(row) == len(head) and row[0].isdecimal() and int(row[0]) <= step]
            with part.open("w", newline="") as file:
                csv.writer(file).writerows([head, *kept])
            part.replace(path)

    def _append(self, name: str, row: list[float]) -> None:
        if not self.active:
            return
        with (self.folder / f"{name}.csv").open("a", newline="") as file:
            csv.writer(file).writerow(row)


def area_weighted(weights: Float[Tensor, "c y x"]) -> Callable[[Tensor, Tensor], Tensor]:
    """Mean square difference of (..., c, y, x) under weights of mean 1."""

    def loss(predicted: Tensor, target: Tensor) -> Tensor:
        return (weights.to(target.device) * (predicted.float() - target) ** 2).mean()

    return loss


def spread(samples: Sequences, count: int, batch: int = 32) -> Iterator[tuple[np.ndarray, Float[Tensor, "b k c y x"]]]:
    """`count` sequences spread evenly over all of them, in batches, with the times (b,) at which they begin."""
    numbers = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    for part in np.array_split(numbers, -(-len(numbers) // batch)):
        yield samples.begins(part), torch.from_numpy(samples.read(part))
