"""A small training on the processor that can be killed, for tests of the loop and of its checkpoints."""

import json
from dataclasses import replace

import numpy as np
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment
from torch import nn

from lara.schedule import Plan, Stage
from lara.training import Sequences, Trainer, spread

STEP = np.timedelta64(6, "h")
PLAN = Plan(
    stages=(Stage(8, 1e-2, 1), Stage(4, 1e-3, 2)),
    batch_size=4,
    second_moment_decay=0.999,
    weight_decay=0.01,
    warm_up=0.25,
    clip=1.0,
    checkpoint_every=3,
    validate_every=2,
    validation_samples=4,
    seed=7,
    precision="32-true",
)


class Killed(Exception):
    """The end of the process, as far as the training loop can tell."""


def alone(precision):
    """This process, whatever launchers the machine has."""
    fabric = Fabric(accelerator="cpu", devices=1, precision=precision, plugins=[LightningEnvironment()])
    fabric.launch()
    return fabric


class Net(nn.Module):
    """Enough layers for AdamW to have moments and bf16 to matter."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(1), nn.Linear(6 * 8 * 16, 8), nn.GELU(), nn.Linear(8, 6 * 8 * 16))

    def forward(self, x):
        return x + self.layers(x / 100).unflatten(1, x.shape[1:])


def loss(model, batch, noise):
    """One step forward per state of the sequence, from a first state that carries noise in training."""
    first = batch[:, 0] if noise is None else batch[:, 0] + 0.1 * noise(batch[:, 0].shape)
    return (model(first) - batch[:, -1] - 1).float().square().mean()


def train(folder, stores, precision="32-true", kill_at=None, plan=PLAN, identity="first", loss=loss):
    """Train to the end, or until the report of step `kill_at`; the trained model."""
    torch.manual_seed(1)
    model = Net()
    groups = [
        {"params": list(model.layers[1].parameters()), "rate": 0.1},
        {"params": list(model.layers[3].parameters())},
    ]

    def report(step, steps, value):
        assert steps == plan.steps
        if step == kill_at:
            raise Killed

    fabric = alone(precision)
    samples = {length: Sequences(stores, length) for length in (1, 2)}
    held_out = torch.cat([states for _, states in spread(samples[2], plan.validation_samples)])
    Trainer(fabric, model, groups, replace(plan, precision=precision), folder, identity).run(
        samples, held_out, loss, report
    )
    return model


def kept_steps(folder):
    """Steps of the checkpoints that a folder holds, in order."""
    return sorted(json.loads(path.read_text())["step"] for path in folder.glob("checkpoint-*.json"))


def content(folder, model):
    """All that a run leaves: weights and curves, as bytes."""
    weights = {key: value.numpy().tobytes() for key, value in model.state_dict().items()}
    return weights, (folder / "training.csv").read_bytes(), (folder / "validation.csv").read_bytes()
