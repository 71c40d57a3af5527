"""Increments of one observation in every space, in the variables observed and in those that nobody observed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lara.figures import maps, style
from lara.stages.reading import read_dataset

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.config import Config
    from lara.layout import Layout
    from lara.stages.run import Run

TARGET = "single_observations"
KEPT_AS = "nc"
CAPTION = "What one observation changes in variables nobody observed."
EAST, NORTH = 60.0, 40.0  # degrees shown on either side of the site
ARROWS = 20  # along a map, about
CONTOURS = 4  # of temperature on either side of 0, about
TRIANGLE: dict[str, Any] = {
    "marker": "^",
    "color": style.BLACK,
    "markerfacecolor": "white",
    "markersize": 8,
    "zorder": 5,
}


def cases(config: Config) -> list[str]:
    """Single observations on a pressure level."""
    return [name for name, case in config.single_observations.items() if case.level is not None]


def inputs(config: Config, layout: Layout, case: str) -> list[Path]:
    """Increments of a case."""
    return [layout.increments(case)]


def gather(run: Run, case: str) -> xr.Dataset:
    """`increment` (space, channel, latitude, longitude), analysis less background, and `background`, SI.

    attrs: `site` (its name), `site_latitude`, `site_longitude` (degrees), `channel` observed ("z500"), `departure`
    y − H(x_b) (SI), `time`.
    """
    return read_dataset(run.layout.increments(case))


def draw(fields: xr.Dataset) -> Figure:
    """Per space (columns): z and wind increments, t increment, and a vertical section through the site.

    The spaces share the colours of a row. ValueError unless the channel is on a pressure level.
    """
    observed = style.channel(fields.attrs["channel"])
    spaces = [str(space) for space in fields["space"].values]
    figure = style.figure(max(5.0 * len(spaces), 6.0), 9.6)
    grid = figure.subplots(3, len(spaces), squeeze=False)
    fill(grid, fields)
    departure = style.number(style.factor(observed.variable) * fields.attrs["departure"])
    figure.suptitle(
        f"{fields.attrs['site']}, {fields.attrs['time']} UTC: one {style.title(observed.name)}, "
        f"{departure} {style.unit(observed.variable)} from the background (n = 1)"
    )
    return figure


def fill(grid: np.ndarray, fields: xr.Dataset) -> None:
    """Fill panels (3 rows, a column per space) with one case, and colour bars beside them.

    ValueError unless the channel is on a pressure level.
    """
    site, level = fields.attrs["site_longitude"], style.channel(fields.attrs["channel"]).level
    if level is None:
        name = fields.attrs["channel"]
        raise ValueError(f"{name} is at the surface; draw an observation on a pressure level, as z500")
    shown = _about(fields, site)
    coast = _about(maps.land(fields).to_dataset(name="land"), site)["land"]
    for (height, warmth, section), space in zip(grid.T, shown["space"].values, strict=True):
        _height(height, shown, str(space), level)
        _warmth(warmth, shown, str(space), level)
        _section(section, shown, str(space))
        section.plot([0], [level], **TRIANGLE)
        for axes in (height, warmth):
            maps.coast(axes, coast)
            _frame(axes, fields.attrs["site_latitude"])
        for axes in (height, warmth, section):
            _longitudes(axes, site)
    for row, variable in zip(grid, "ztz", strict=True):
        bar = row[0].figure.colorbar(row[0].collections[0], ax=list(row), shrink=0.8, pad=0.02)
        bar.set_label(f"{variable} ({style.unit(variable)})")


def _about(fields: xr.Dataset, site: float) -> xr.Dataset:
    """The fields with longitude counted from the site, -180 to 180, so that no map cuts through it."""
    longitude = (fields["longitude"] - site + 180.0) % 360.0 - 180.0
    return fields.assign_coords(longitude=longitude).sortby("longitude")


def _height(axes: Axes, shown: xr.Dataset, space: str, level: int) -> None:
    _fill(axes, shown, space, f"z{level}")
    wind = _near(shown["increment"], shown.attrs["site_latitude"])
    _wind(axes, wind.sel(space=space), level, _speed(wind, level))
    axes.set_title(f"{space}: z and wind increments, {level} hPa", loc="left")


def _warmth(axes: Axes, shown: xr.Dataset, space: str, level: int) -> None:
    _fill(axes, shown, space, f"t{level}")
    axes.set_title(f"{space}: t increment, {level} hPa", loc="left")
    if "background" in shown:
        wind = _near(shown["background"], shown.attrs["site_latitude"])
        _wind(axes, wind, level, _speed(wind, level))
        axes.set_title(f"{space}: t increment, background wind, {level} hPa", loc="left")


def _fill(axes: Axes, shown: xr.Dataset, space: str, name: str) -> None:
    increments = shown["increment"].sel(channel=name, drop=True) * style.factor(style.channel(name).variable)
    reach = _reach(increments)
    maps.fill(axes, increments.sel(space=space, drop=True), -reach, reach, "RdBu_r")


def _reach(field: xr.DataArray) -> float:
    return float(abs(field).max()) or 1.0


def _span(latitude: float) -> tuple[float, float]:
    """Southern and northern edge of the map about a site."""
    south = float(np.clip(latitude - NORTH, -90, 90 - 2 * NORTH))
    return south, south + 2 * NORTH


def _near(field: xr.DataArray, latitude: float) -> xr.DataArray:
    """What of a field is on the map about a site."""
    south, north = _span(latitude)
    return field.sel(longitude=slice(-EAST, EAST), latitude=slice(north, south))


def _frame(axes: Axes, latitude: float) -> None:
    """Cut the map around the site and mark it."""
    axes.set(xlim=(-EAST, EAST), ylim=_span(latitude))
    axes.plot([0], [latitude], **TRIANGLE)


def _longitudes(axes: Axes, site: float) -> None:
    """Ticks at whole multiples of 30 degrees on an axis that counts from the site."""
    east = 30 * np.arange(np.ceil((site - EAST) / 30), np.floor((site + EAST) / 30) + 1)
    axes.set_xticks(east - site, [_degrees_east((x + 180) % 360 - 180) for x in east])
    axes.set_xlim(-EAST, EAST)


def _degrees_east(longitude: float) -> str:
    side = "" if longitude in (0, -180) else "W" if longitude < 0 else "E"
    return f"{abs(longitude):g}°{side}"


def _speed(wind: xr.DataArray, level: int) -> float:
    """Highest wind speed on a level (m/s), 1 where there is no wind."""
    return (
        float(np.hypot(wind.sel(channel=f"u{level}", drop=True), wind.sel(channel=f"v{level}", drop=True)).max()) or 1.0
    )


def _wind(axes: Axes, wind: xr.DataArray, level: int, longest: float) -> None:
    """Arrows on a level, thinned, those below a twentieth of the longest left out."""
    every = max(1, round(wind.sizes["longitude"] / ARROWS))
    wind = wind.transpose(..., "latitude", "longitude")[..., ::every, ::every]
    u, v = (wind.sel(channel=f"{name}{level}", drop=True) for name in "uv")
    seen = np.hypot(u, v) > longest / 20
    scale: dict[str, Any] = {"scale": longest * ARROWS / 1.6, "width": 0.004, "zorder": 4}
    axes.quiver(wind["longitude"], wind["latitude"], u.where(seen), v.where(seen), **scale)
    text = f"fastest {style.number(longest)} {style.unit('u')}"
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 2}
    axes.text(0.98, 0.03, text, transform=axes.transAxes, ha="right", fontsize=7, bbox=box, zorder=6)


def _section(axes: Axes, shown: xr.Dataset, space: str) -> None:
    """Colours of z and contours of t against pressure and longitude, along the row nearest to the site."""
    row = shown["increment"].sel(latitude=shown.attrs["site_latitude"], method="nearest")
    height, warmth = _profile(row, "z"), _profile(row, "t")
    reach, step = _reach(height), float(f"{_reach(warmth) / CONTOURS:.1g}")
    limits: dict[str, Any] = {"vmin": -reach, "vmax": reach, "cmap": "RdBu_r", "shading": "nearest"}
    axes.pcolormesh(height["longitude"], height["level"], height.sel(space=space), **limits)
    drawn = warmth.sel(space=space)
    count = int(abs(drawn).max() / step)
    if count:
        lines = [step * k for k in range(-count, count + 1) if k]
        axes.contour(drawn["longitude"], drawn["level"], drawn, levels=lines, colors="black", linewidths=0.8)
    style.pressure_axis(axes, height["level"].values.tolist())
    axes.set_title(f"{space}: z (colours), t (a line every {step:g} K)", loc="left")
    axes.grid(visible=False)


def _profile(row: xr.DataArray, variable: str) -> xr.DataArray:
    """A variable (space, level, longitude) of a row of all channels, in the unit it is drawn in."""
    channels = [style.channel(str(name)) for name in row["channel"].values]
    chosen = [channel for channel in channels if channel.variable == variable]
    profile = row.sel(channel=[channel.name for channel in chosen]).rename(channel="level")
    profile = profile.assign_coords(level=[channel.level for channel in chosen]) * style.factor(variable)
    return profile.sortby("level").transpose("space", "level", "longitude")
