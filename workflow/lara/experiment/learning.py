"""Networks of a run: fit the linear path, train, and measure the errors that the assimilation must know."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
import xarray as xr
from lightning_fabric import Fabric
from torch import Tensor, nn

from lara import receipts
from lara.autoencoder import Autoencoder, principal_components
from lara.config import Training
from lara.experiment.run import Run
from lara.networks import weights
from lara.networks.patches import patchify
from lara.store import StateStore
from lara.training import Curve, Plan, Report, Sequences, Stage, Trainer, area_weighted, spread

PCA_STATES = 1500
MEASURED_STATES = 240
MEASURED_FORECASTS = 120


def train_autoencoder(run: Run, name: str, report: Report) -> None:
    """Fit the linear path and, unless the autoencoder is `pca`, train the residual; writes weights and curves."""
    chosen = run.config.autoencoders[name]
    torch.manual_seed(_seed(run, name))
    module = run.new_autoencoder(name)
    fit_linear_path(run, module, channel_weights(run, chosen.training))
    if chosen.kind == "transformer":
        groups: list[dict[str, Any]] = [
            {"params": list(module.linear.parameters()), "rate": chosen.linear_rate},
            {"params": [p for key, p in module.named_parameters() if not key.startswith("linear.")]},
        ]
        _train(run, module, groups, chosen.training, name, _reconstruction_loss(run, chosen.training), report)
    else:
        Curve(run.layout.training(name)).keep_until(0)
    _finish(run, module, name, run.description(chosen))


def train_forecaster(run: Run, report: Report) -> None:
    """Train the forecaster; writes weights and curves."""
    chosen = run.config.forecaster
    torch.manual_seed(_seed(run, "forecaster"))
    module = run.new_forecaster()
    groups: list[dict[str, Any]] = [{"params": list(module.parameters())}]
    _train(run, module, groups, chosen.training, "forecaster", _forecast_loss(run, chosen.training), report)
    _finish(run, module, "forecaster", run.description(chosen))


@torch.no_grad()
def fit_linear_path(run: Run, module: Autoencoder, weight: Tensor) -> None:
    """Start an autoencoder from the principal components of the patches of the training states."""
    patch, size = module.shape.patch, module.shape.channels * module.shape.patch**2
    area = run.area_weights()
    total, mean, covariance = 0.0, torch.zeros(size).double(), torch.zeros(size, size).double()
    for states in _states(run.stores("training"), PCA_STATES):
        patches = patchify(run.normaliser.normalise(states), patch).reshape(-1, size).double()
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


def channel_weights(run: Run, training: Training) -> Tensor:
    """Loss weight of each channel, mean 1."""
    weight = torch.from_numpy(run.per_channel(training.channel_weights, 1.0)).float()
    return weight / weight.mean()


def measure_autoencoder(run: Run, name: str) -> xr.Dataset:
    """Reconstruction error of held-out states, RMSE per channel in physical units.

    `representation_error` (validation period, for R), `rmse` and `pca_rmse` (test period; PCA of the same latent size).
    """
    module, scale = run.autoencoder(name), run.normaliser
    linear = Autoencoder(module.shape, module.latent_channels, (0, 0))
    fit_linear_path(run, linear, channel_weights(run, run.config.autoencoders[name].training))

    def rmse(stores: list[StateStore], encoder: Autoencoder) -> np.ndarray:
        return _rmse(run, stores, lambda x: scale.denormalise(encoder(scale.normalise(x))))

    fields = {
        "representation_error": rmse(run.stores("validation"), module),
        "rmse": rmse(run.stores("test"), module),
        "pca_rmse": rmse(run.stores("test"), linear),
        "change_std": run.statistics.change_std,
    }
    data = {key: ("channel", np.asarray(value, dtype=np.float64)) for key, value in fields.items()}
    return xr.Dataset(
        data, {"channel": run.channels.names}, {"compression": module.compression, "samples": MEASURED_STATES}
    )


def measure_forecaster(run: Run, lead_steps: int = 20) -> xr.Dataset:
    """Forecast error by lead time, RMSE per channel in physical units, with that of persistence.

    `model_error` (validation period, for R in the later slots of a window), `rmse` and `persistence_rmse` (test period).
    """
    slots = max(experiment.slots for experiment in run.config.experiments.values())
    model = _errors_by_lead(run, run.stores("validation"), slots - 1)[0]
    error, persistence = _errors_by_lead(run, run.stores("test"), lead_steps)
    coordinates = {"slot": np.arange(slots), "lead_time": run.lead_times(lead_steps), "channel": run.channels.names}
    return xr.Dataset(
        {
            "model_error": (("slot", "channel"), model),
            "rmse": (("lead_time", "channel"), error),
            "persistence_rmse": (("lead_time", "channel"), persistence),
        },
        coordinates,
        {"samples": MEASURED_FORECASTS},
    )


def plan(run: Run, training: Training) -> Plan:
    """The training plan that a configuration asks for."""
    return Plan(
        stages=tuple(Stage(phase.steps, phase.learning_rate, phase.rollout) for phase in training.phases),
        batch_size=training.batch_size,
        weight_decay=training.weight_decay,
        warm_up=training.warm_up,
        clip=training.clip,
        checkpoint_every=training.checkpoint_every,
        validate_every=training.validate_every,
        validation_samples=training.validation_samples,
        seed=run.config.seed,
    )


def identity(run: Run, name: str) -> str:
    """Digest of all that a network's weights depend on: channels, grid, its settings, seed and training data."""
    config = run.config
    chosen = config.forecaster if name == "forecaster" else config.autoencoders[name]
    settings = [part.model_dump(mode="json") for part in (config.state, config.grid, chosen)]
    return receipts.digest([*settings, config.seed, receipts.digest(run.layout.statistics)])


def _train(
    run: Run,
    module: nn.Module,
    groups: list[dict[str, Any]],
    training: Training,
    name: str,
    loss: Callable[[nn.Module, Tensor], Tensor],
    report: Report,
) -> None:
    fabric = Fabric(precision=training.precision)
    fabric.launch()
    schedule = plan(run, training)
    ahead = 1 if name == "forecaster" else 0
    stores = run.stores("training")
    samples = {stage.rollout: Sequences(stores, stage.rollout + ahead) for stage in schedule.stages}
    longest = max(samples)
    held_out = torch.cat(
        list(spread(Sequences(run.stores("validation"), longest + ahead), schedule.validation_samples))
    )
    run.normaliser.to(fabric.device)
    trainer = Trainer(fabric, module, groups, schedule, run.layout.training(name), identity(run, name))
    trainer.run(samples, held_out, loss, report)
    run.normaliser.to("cpu")
    module.to("cpu")


def _finish(run: Run, module: nn.Module, name: str, description: dict[str, Any]) -> None:
    """Weights and curves to where rules look for them; before, all lay out of Snakemake's reach: a kill loses none."""
    for path in run.layout.curves(name):
        shutil.copyfile(run.layout.training(name) / path.name, path)
    weights.save(module, run.layout.weights(name), description)


def _seed(run: Run, name: str) -> int:
    return int(run.generator("weights", name).integers(2**62))


def _reconstruction_loss(run: Run, training: Training) -> Callable[[nn.Module, Tensor], Tensor]:
    compare = area_weighted(channel_weights(run, training)[:, None, None] * run.area_weights())

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        state = run.normaliser.normalise(batch[:, 0])
        return compare(model(state), state)

    return loss


def _forecast_loss(run: Run, training: Training) -> Callable[[nn.Module, Tensor], Tensor]:
    """Mean square error in units of one-step changes, averaged over the steps of the rollout."""
    change = torch.from_numpy(run.statistics.tendency_std / run.statistics.change_std).float()
    weight = channel_weights(run, training) / change**2
    compare = area_weighted(weight[:, None, None] * run.area_weights())

    def loss(model: nn.Module, batch: Tensor) -> Tensor:
        truth = run.normaliser.normalise(batch.flatten(0, 1)).unflatten(0, batch.shape[:2])
        state, total = truth[:, 0], torch.zeros((), device=batch.device)
        for k in range(1, truth.shape[1]):
            state = model(state)
            total = total + compare(state, truth[:, k])
        return total / (truth.shape[1] - 1)

    return loss


@torch.no_grad()
def _rmse(run: Run, stores: list[StateStore], reconstruct: Callable[[Tensor], Tensor]) -> np.ndarray:
    total, count, area = torch.zeros(len(run.channels)).double(), 0, run.area_weights()
    for states in _states(stores, MEASURED_STATES):
        total += (area * (reconstruct(states) - states).double() ** 2).mean((2, 3)).sum(0)
        count += len(states)
    return np.asarray((total / count).sqrt())


@torch.no_grad()
def _errors_by_lead(run: Run, stores: list[StateStore], lead_steps: int) -> tuple[np.ndarray, np.ndarray]:
    area, count = run.area_weights(), 0
    total = torch.zeros(2, lead_steps + 1, len(run.channels)).double()
    for batch in spread(Sequences(stores, lead_steps + 1), MEASURED_FORECASTS, batch=16):
        state, count = batch[:, 0], count + len(batch)
        for k in range(1, lead_steps + 1):
            state = run.forecast_step(state)
            for i, forecast in enumerate((state, batch[:, 0])):
                total[i, k] += (area * (forecast - batch[:, k]).double() ** 2).mean((2, 3)).sum(0)
    error, persistence = (total / count).sqrt().numpy()
    return error, persistence


def _states(stores: list[StateStore], count: int) -> Iterator[Tensor]:
    return (sequence[:, 0] for sequence in spread(Sequences(stores, 1), count))
