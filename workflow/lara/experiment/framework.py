"""The fields of one window of the reference experiment, from background to next background."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from lara import store
from lara.observations import table as tables
from lara.stages.covariance import background_error
from lara.stages.covariance.factors import factors
from lara.stages.experiments import middle_window
from lara.stages.networks import RunWithNetworks
from lara.stages.run import Run, hours
from lara.stages.states import states_of

COMPONENT = 0  # of the latent space; the linear path's leading one


@torch.no_grad()
def framework_fields(run: RunWithNetworks) -> xr.Dataset:
    """What `verification.figures.fig1_framework` shows, of the first headline channel; SI and latent units.

    The latent analysis is E of the archived analysis, which its own decoder has made.
    """
    name = run.config.verification.reference
    chosen, window = run.config.experiments[name], middle_window(run, name)
    encode, _ = run.encoding(chosen.space)
    archive = store.open_archive(run.layout.archive(name)).sel(time=[window.fresh[0]])
    background, analysis = (run.tensor(states_of(run, archive, suffix)) for suffix in ("_background", ""))
    forecast = run.forecast(analysis, window.fresh[:1], chosen.window_hours // run.config.step_hours)
    mapped = run.config.verification.headline[0]
    channel = run.channels.position(mapped)
    states = {"background": background, "analysis": analysis, "forecast": forecast, "increment": analysis - background}
    variance = factors(run, name).background * background_error.load(run, chosen.space)["variance"][COMPONENT]
    latents = {"background": encode(background)[0, COMPONENT], "analysis": encode(analysis)[0, COMPONENT]}
    fields = {key: (("latitude", "longitude"), state[0, channel].cpu().numpy()) for key, state in states.items()}
    fields |= {f"latent_{key}": (("row", "column"), z.cpu().numpy()) for key, z in latents.items()}
    fields["latent_std"] = (("row", "column"), np.sqrt(variance))
    attributes = {"channel": mapped, "time": str(window.begin)[:16], "component": COMPONENT + 1}
    shown, used = _innovations(run, name, window.begin, mapped)
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    return xr.Dataset(fields | shown, coordinates, attributes | {"observations": used})


def _innovations(run: Run, name: str, begin: np.datetime64, channel: str) -> tuple[dict[str, object], int]:
    """Innovations of a channel at a window's first slot with their places, and how many data the window used."""
    feedback = tables.read_feedback(run.layout.feedback(name), cycle=begin)
    used = feedback[feedback["EffectiveQC"] == tables.Flag.PASS]
    wanted = run.channels.channels[run.channels.position(channel)]
    level = used[tables.PRESSURE].isna() if wanted.level is None else used[tables.PRESSURE] == 100 * wanted.level
    slot = used[tables.TIME] < begin + hours(run.config.experiments[name].slot_hours) // 2
    rows = used[(used["variable"] == wanted.variable) & level & slot]
    columns = {"innovation": "ombg", "site_latitude": tables.LATITUDE, "site_longitude": tables.LONGITUDE}
    return {key: ("site", rows[column].to_numpy()) for key, column in columns.items()}, len(used)
