"""Fields of one window: encode the background, minimise J in the latent space, decode, forecast."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lara.depends.inputs import Inputs
from lara.figures import maps, style

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.assimilation.window import Window
    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.networks import RunWithNetworks

TARGET = "figures"
KEPT_AS = "nc"
CAPTION = "One window with this run's own fields: encode, minimise J in the latent space, decode, forecast."
COMPONENT = 0  # of the latent space; the linear path's leading one
STATES = (("background", (0, 0)), ("analysis", (0, 3)), ("forecast", (1, 0)))


def inputs(config: Config, layout: Layout) -> list[Path]:
    """Archive and feedback of the reference experiment, and all that its windows are made of."""
    name = config.verification.reference
    return [*Inputs(config, layout).windows(name), layout.feedback(name)]


def gather(run: RunWithNetworks) -> xr.Dataset:
    """Fields of the first headline channel in the middle window of the reference experiment; SI and latent units.

    `background`, `analysis`, `forecast`, `increment` (latitude, longitude); `latent_background`, `latent_analysis`,
    `latent_std` (row, column) of COMPONENT; `innovation`, `site_latitude`, `site_longitude` (site); attrs: channel,
    time, component, observations (how many the window used). The latent analysis is E of the archived analysis, which
    its own decoder has made.
    """
    import xarray as xr

    from lara import store
    from lara.stages.experiments import middle_window
    from lara.stages.states import states_of

    name, mapped = run.config.verification.reference, run.config.verification.headline[0]
    window = middle_window(run, name)
    archive = store.open_archive(run.layout.archive(name)).sel(time=[window.fresh[0]])
    states = {key: states_of(run, archive, suffix) for key, suffix in (("background", "_background"), ("analysis", ""))}
    states["forecast"] = _forecast(run, states["analysis"], window)
    states["increment"] = states["analysis"] - states["background"]
    channel = run.channels.position(mapped)
    fields = {key: (("latitude", "longitude"), state[0, channel]) for key, state in states.items()}
    fields |= {key: (("row", "column"), value) for key, value in _latent(run, states).items()}
    attributes = {"channel": mapped, "time": str(window.begin)[:16], "component": COMPONENT + 1}
    shown, used = _departures(run, name, window.begin, mapped)
    coordinates = {"latitude": run.grid.latitude, "longitude": run.grid.longitude}
    return xr.Dataset(fields | shown, coordinates, attributes | {"observations": used})


def _forecast(run: RunWithNetworks, analysis: np.ndarray, window: Window) -> np.ndarray:
    """The next background (1, c, y, x): the analysis one window later."""
    import torch

    steps = run.config.experiments[run.config.verification.reference].window_hours // run.config.step_hours
    with torch.no_grad():
        return run.forecast(run.tensor(analysis), window.fresh[:1], steps).cpu().numpy()


def _latent(run: RunWithNetworks, states: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Background, analysis and background std of COMPONENT (row, column)."""
    import torch

    from lara.stages.covariance import background_error
    from lara.stages.covariance.factors import factors

    name = run.config.verification.reference
    space = run.config.experiments[name].space
    encode, _ = run.encoding(space)
    with torch.no_grad():
        latent = {key: encode(run.tensor(states[key]))[0, COMPONENT] for key in ("background", "analysis")}
    variance = factors(run, name).background * background_error.load(run, space)["variance"][COMPONENT]
    return {f"latent_{key}": z.cpu().numpy() for key, z in latent.items()} | {"latent_std": np.sqrt(variance)}


def _departures(run: RunWithNetworks, name: str, begin: np.datetime64, channel: str) -> tuple[dict[str, object], int]:
    """Innovations of a channel at a window's first slot with their places, and how many data the window used."""
    from lara.observations import table as tables
    from lara.observations.flags import Flag
    from lara.stages.run import hours

    feedback = tables.read_feedback(run.layout.feedback(name), cycle=begin)
    used = feedback[feedback["EffectiveQC"] == Flag.PASS]
    wanted = run.channels.channels[run.channels.position(channel)]
    level = used[tables.PRESSURE].isna() if wanted.level is None else used[tables.PRESSURE] == 100 * wanted.level
    slot = used[tables.TIME] < begin + hours(run.config.experiments[name].slot_hours) // 2
    rows = used[(used["variable"] == wanted.variable) & level & slot]
    columns = {"innovation": "ombg", "site_latitude": tables.LATITUDE, "site_longitude": tables.LONGITUDE}
    return {key: ("site", rows[column].to_numpy()) for key, column in columns.items()}, len(used)


def draw(fields: xr.Dataset) -> Figure:
    """Panels of one window with arrows for what leads to what."""
    variable = style.channel(fields.attrs["channel"]).variable
    figure = style.figure(17.0, 4.9)
    grid = figure.subplots(2, 4)
    factor, unit = style.factor(variable), style.unit(variable)
    _states(figure, grid, fields, factor, unit)
    increment = factor * fields["increment"]
    reach = float(abs(increment).max()) or 1.0
    mesh = maps.fill(grid[1, 3], increment, -reach, reach, "RdBu_r")
    figure.colorbar(mesh, ax=grid[1, 3], label=unit, shrink=0.7)
    grid[1, 3].set_title("increment x_a − x_b")
    _innovations(figure, grid[1, 2], fields, factor, unit)
    for axes in (grid[0, 0], grid[0, 3], grid[1, 0], grid[1, 2], grid[1, 3]):
        maps.coast(axes, maps.land(fields))
    _latents(figure, grid, fields)
    _arrows(figure, grid)
    figure.suptitle(
        f"One window (n = 1), {fields.attrs['time']} UTC, {style.title(fields.attrs['channel'])} and latent component "
        f"{fields.attrs['component']}; {fields.attrs['observations']} data of all kinds used",
        fontsize=9,
    )
    return figure


def _states(figure: Figure, grid: np.ndarray, fields: xr.Dataset, factor: float, unit: str) -> None:
    low, high = (float(getattr(factor * fields["analysis"], end)()) for end in ("min", "max"))
    titles = {"background": "background x_b", "analysis": "analysis x_a = D(z_a)", "forecast": "next background M(x_a)"}
    for name, place in STATES:
        mesh = maps.fill(grid[place], factor * fields[name], low, high)
        grid[place].set_title(titles[name])
        figure.colorbar(mesh, ax=grid[place], label=unit, shrink=0.7)


def _latents(figure: Figure, grid: np.ndarray, fields: xr.Dataset) -> None:
    reach = float(abs(fields["latent_background"]).max())
    shown = (
        (grid[0, 1], "latent_background", "z_b = E(x_b)", "RdBu_r", (-reach, reach)),
        (grid[0, 2], "latent_analysis", "z_a, where J is least", "RdBu_r", (-reach, reach)),
        (grid[1, 1], "latent_std", "B_z^½ (diagonal)", "viridis", (0.0, float(fields["latent_std"].max()))),
    )
    for axes, name, title, colours, (low, high) in shown:
        mesh = axes.imshow(fields[name], vmin=low, vmax=high, cmap=colours, interpolation="none")
        axes.set(title=title, xlabel="patch, eastward", ylabel="patch, southward")
        axes.grid(visible=False)
        figure.colorbar(mesh, ax=axes, label="latent value (1)", shrink=0.7)


def _innovations(figure: Figure, axes: Axes, fields: xr.Dataset, factor: float, unit: str) -> None:
    empty = fields["background"] * np.nan
    maps.fill(axes, empty, 0, 1)
    values = factor * fields["innovation"]
    reach = float(abs(values).max()) or 1.0
    east = (fields["site_longitude"] + 180.0) % 360.0 - 180.0
    points: dict[str, Any] = {
        "c": values,
        "cmap": "RdBu_r",
        "vmin": -reach,
        "vmax": reach,
        "s": 14,
        "edgecolors": "0.3",
    }
    mesh = axes.scatter(east, fields["site_latitude"], linewidths=0.3, **points)
    figure.colorbar(mesh, ax=axes, label=unit, shrink=0.7)
    axes.set_title("innovations y − H(x_b), first slot")


def _arrows(figure: Figure, grid: np.ndarray) -> None:
    """Arrows for what leads to what, between the panels' edges in fractions of the panels."""
    from matplotlib.patches import ConnectionPatch

    steps = [
        ((0, 0), (1.0, 1.2), (0, 1), (0.0, 1.2), "E"),
        ((0, 1), (1.0, 1.2), (0, 2), (0.0, 1.2), "minimise J"),
        ((0, 2), (1.0, 1.2), (0, 3), (0.0, 1.2), "D"),
    ]
    for start, begin, stop, end, label in steps:
        arrow = ConnectionPatch(begin, end, "axes fraction", "axes fraction", axesA=grid[start], axesB=grid[stop])
        arrow.set(arrowstyle="-|>", mutation_scale=14, color=style.RED, linewidth=1.5)
        arrow.set_in_layout(False)
        figure.add_artist(arrow)
        grid[start].annotate(label, (1.1, 1.23), xycoords="axes fraction", color=style.RED, annotation_clip=False)
