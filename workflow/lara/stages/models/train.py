"""Networks of a run: fit the linear path of autoencoders, and train, in as many processes as torchrun has started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import torch
from jaxtyping import Float
from lightning_fabric import Fabric
from lightning_fabric.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch import Tensor, nn

from lara import receipts
from lara.autoencoder import Autoencoder, principal_components
from lara.checkpoints import Checkpoints
from lara.config import Training
from lara.depends.settings import BOOKKEEPING, USE
from lara.depends.stated import stated
from lara.networks import weights
from lara.networks.patches import patchify
from lara.precision import Precision, choose
from lara.schedule import Plan, Stage
from lara.stages.code_digest import code_digest
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run
from lara.stages.states import RunWithStates
from lara.stages.writing import write_raw
from lara.store import StateStore, open_state
from lara.training import Curve, Loss, Noise, Report, Sequences, Trainer, area_weighted, spread

_LOG = logging.getLogger(__name__)
PCA_STATES = 1500


def train_autoencoder(run: RunWithNetworks, name: str, report: Report) -> None:
    """Fit the linear path and, unless the autoencoder is `pca`, train the residual; writes weights and curves."""
    chosen = run.config.autoencoders[name]
    fabric, precision = processes(run, name, chosen.training)
    torch.manual_seed(_seed(run, name))
    module = run.new_autoencoder(name)
    fit_linear_path(run, module, channel_weights(run, chosen.training), training_states(run, name))
    if chosen.kind == "transformer":
        groups: list[dict[str, Any]] = [
            {"params": list(module.linear.parameters()), "rate": chosen.linear_rate},
            {"params": [p for key, p in module.named_parameters() if not key.startswith("linear.")]},
        ]
        trainer = _trainer(run, fabric, module, groups, plan(run, chosen.training, precision.value), name)
        _train(run, trainer, name, _reconstruction_loss(run, chosen.training), report)
    else:
        Curve(run.layout.training(name), active=fabric.is_global_zero).keep_until(0)
    if fabric.is_global_zero:
        _finish(run, module, name, run.description(chosen), precision)


def train_forecaster(run: RunWithNetworks, report: Report) -> None:
    """Train the forecaster; writes weights and curves."""
    chosen = run.config.forecaster
    fabric, precision = processes(run, "forecaster", chosen.training)
    torch.manual_seed(_seed(run, "forecaster"))
    module = run.new_forecaster()
    groups: list[dict[str, Any]] = [{"params": list(module.parameters())}]
    trainer = _trainer(run, fabric, module, groups, plan(run, chosen.training, precision.value), "forecaster")
    _train(run, trainer, "forecaster", _forecast_loss(run, chosen.training), report)
    if fabric.is_global_zero:
        _finish(run, module, "forecaster", run.description(chosen), precision)


@torch.no_grad()
def fit_linear_path(run: RunWithStates, module: Autoencoder, weight: Tensor, stores: Sequence[StateStore]) -> None:
    """Start an autoencoder from the principal components of the patches of states."""
    patch, size = module.shape.patch, module.shape.channels * module.shape.patch**2
    area = run.area_weights()
    total, mean, covariance = 0.0, area.new_zeros(size).double(), area.new_zeros(size, size).double()
    for states in spread_states(stores, PCA_STATES):
        patches = patchify(run.normaliser.normalise(states.to(run.device)), patch).reshape(-1, size).double()
        share = patchify(area.expand(len(states), 1, -1, -1), patch).mean(-1).reshape(-1).double()
        total += float(share.sum())
        mean += share @ patches
        covariance += (patches * share[:, None]).T @ patches
    mean /= total
    by_element = weight.double().repeat_interleave(patch**2)
    encode, decode = principal_components(
        covariance / total - torch.outer(mean, mean), by_element, module.latent_channels
    )
    module.linear.set(encode.float(), decode.float(), mean.float())


def training_states(run: RunWithStates, name: str) -> list[StateStore]:
    """What a network is trained on: the training states, or the forecasts from them that an autoencoder asks for."""
    if name == "forecaster" or run.config.autoencoders[name].forecast_days is None:
        return run.stores("training")
    return [open_state(run.layout.forecast_states(name, dataset)) for dataset in run.config.using("training")]


def channel_weights(run: Run, training: Training) -> Tensor:
    """Loss weight of each channel, mean 1."""
    weight = run.tensor(run.per_channel(training.channel_weights, 1.0)).float()
    return weight / weight.mean()


def plan(run: Run, training: Training, precision: str) -> Plan:
    """The training plan that a configuration asks for, in the precision chosen for it."""
    return Plan(
        stages=tuple(Stage(phase.steps, phase.learning_rate, phase.rollout) for phase in training.phases),
        batch_size=training.batch_size,
        weight_decay=training.weight_decay,
        second_moment_decay=training.second_moment_decay,
        warm_up=training.warm_up,
        clip=training.clip,
        checkpoint_every=training.checkpoint_every,
        validate_every=training.validate_every,
        validation_samples=training.validation_samples,
        seed=run.config.seed,
        precision=precision,
    )


def identity(run: Run, name: str, precision: str) -> str:
    """Digest of all that weights depend on: channels, grid, settings, precision, seed, data, code of networks and loop.

    Rules do not know the code, so an edit starts no training; one that starts resumes only what the same code began.
    """
    config = run.config
    chosen = config.forecaster if name == "forecaster" else config.autoencoders[name]
    settings = [stated(config.state), stated(config.grid), stated(chosen, {*USE, "training"})]
    settings.append(stated(chosen.training, BOOKKEEPING))
    data = [run.layout.statistics]
    if name != "forecaster" and config.autoencoders[name].forecast_days is not None:
        data.append(run.layout.forecast_states_receipt(name))
    return receipts.digest([*settings, precision, config.seed, *map(receipts.digest, data), code_digest(__name__)])


def processes(run: Run, name: str, training: Training) -> tuple[Fabric, Precision]:
    """The processes that torchrun has started, without it this one alone, and the precision in which they train."""
    launched = TorchElasticEnvironment.detect()
    here, all_ = (int(os.environ[name]) for name in ("LOCAL_WORLD_SIZE", "WORLD_SIZE")) if launched else (1, 1)
    # named, since a job of SLURM would else pass for one of several that srun has started
    started = TorchElasticEnvironment() if launched else LightningEnvironment()
    precision = choose(training.precision, run.device, Checkpoints(run.layout.training(name)).precision)
    _LOG.info("%s is trained in %s: %s", name, precision.value, precision.reason)
    shared: dict[str, Any] = {"devices": here, "num_nodes": all_ // here, "plugins": [started]}
    fabric = Fabric(accelerator=run.device.type, precision=cast(Any, precision.value), **shared)
    fabric.launch()
    return fabric, precision


def _trainer(
    run: Run, fabric: Fabric, module: nn.Module, groups: list[dict[str, Any]], schedule: Plan, name: str
) -> Trainer:
    folder, depends_on = run.layout.training(name), identity(run, name, schedule.precision)
    return Trainer(fabric, module, groups, schedule, folder, depends_on)


def _train(run: RunWithStates, trainer: Trainer, name: str, loss: Loss, report: Report) -> None:
    """Train to the end of the plan; the first process reports, in passes, since a step of a rollout takes several."""
    fabric, schedule = trainer.fabric, trainer.plan
    ahead = 1 if name == "forecaster" else 0
    stores = staged(run, training_states(run, name))
    samples = {stage.rollout: Sequences(stores, stage.rollout + ahead) for stage in schedule.stages}
    validation = Sequences(run.stores("validation"), max(samples) + ahead)
    held_out = torch.cat([states for _, states in spread(validation, schedule.validation_samples)])
    run.normaliser.to(fabric.device)

    def told(step: int, steps: int, value: float) -> None:
        report(schedule.passes(step), schedule.passes(steps), value)

    trainer.run(samples, held_out, loss, told if fabric.is_global_zero else _say_nothing)
    run.normaliser.to(run.device)
    trainer.model.to("cpu")


def _say_nothing(step: int, steps: int, value: float) -> None:
    """Progress of a process that is not the first."""


def staged(run: Run, stores: Sequence[StateStore]) -> list[StateStore]:
    """Stores read from memory maps in the configured folder, whose variables are those of the environment."""
    if run.config.staging is None:
        return list(stores)
    return [store.staged(Path(os.path.expandvars(run.config.staging))) for store in stores]


def _finish(run: Run, module: nn.Module, name: str, description: dict[str, Any], precision: Precision) -> None:
    """Weights and curves to where rules look for them; before, all lay out of Snakemake's reach: a kill loses none."""
    for path in run.layout.curves(name):
        write_raw((run.layout.training(name) / path.name).read_bytes(), path)
    made = {
        "precision": precision.value,
        "reason": precision.reason,
        "statistics": receipts.digest(run.layout.statistics),
    }
    weights.save(module, run.layout.weights(name), description, made)


def _seed(run: Run, name: str) -> int:
    return int(run.generator("weights", name).integers(2**62))


def _reconstruction_loss(run: RunWithStates, training: Training) -> Loss:
    compare = area_weighted(channel_weights(run, training)[:, None, None] * run.area_weights())

    def loss(model: nn.Module, batch: Tensor, _: Noise | None) -> Tensor:
        state = run.normaliser.normalise(batch[:, 0])
        return compare(model(state), state)

    return loss


def _forecast_loss(run: RunWithStates, training: Training) -> Loss:
    """Mean square error in units of one-step changes, averaged over the steps of the rollout.

    In training the first state carries white noise, so that the forecaster learns to remove what no atmosphere has: the
    seams that analyses and its own errors leave between patches.
    """
    noise = run.config.forecaster.input_noise
    change = run.tensor(run.statistics.tendency_std / run.statistics.change_std).float()
    weight = channel_weights(run, training) / change**2
    compare = area_weighted(weight[:, None, None] * run.area_weights())

    def loss(model: nn.Module, batch: Tensor, draw: Noise | None) -> Tensor:
        truth = run.normaliser.normalise(batch.flatten(0, 1)).unflatten(0, batch.shape[:2])
        state, total = truth[:, 0], torch.zeros((), device=batch.device)
        if draw is not None and noise:
            state = state + noise * draw(state.shape).to(state.device)
        for k in range(1, truth.shape[1]):
            state = model(state)
            total = total + compare(state, truth[:, k])
        return total / (truth.shape[1] - 1)

    return loss


def spread_states(stores: Sequence[StateStore], count: int) -> Iterator[Float[Tensor, "b c y x"]]:
    """About `count` states spread evenly over stores, in batches."""
    return (states[:, 0] for _, states in spread(Sequences(stores, 1), count))
