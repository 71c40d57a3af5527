"""The look shared by all figures: one colour per experiment, one unit per variable, one way to save as PNG and PDF.

Colours are those of Okabe and Ito (2008, https://jfly.uni-koeln.de/color), told apart by colour-blind
readers. Matplotlib is imported where something is drawn, since Snakemake imports the figure files to plan.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lara.variables import VARIABLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from lara.state import Channel

BLUE, SKY, GREEN, ORANGE, RED, PURPLE, GREY, BLACK = (
    *("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7"),
    *("#767676", "#000000"),
)
COLOURS = {
    "free": BLACK,
    "autoencoder-only": ORANGE,
    "3dvar": SKY,
    "4dvar": BLUE,
    "l3dvar": PURPLE,
    "l4dvar": RED,
    "pca": GREEN,
    "truth": GREY,
    "reconstruction": GREY,
    "pca-l4dvar": GREEN,
    "pca-l3dvar": GREEN,
    "horizontal-l3dvar": PURPLE,
    "persistence": GREY,
    "climatology": GREY,
}
DASHES = {
    "persistence": "--",
    "climatology": ":",
    "pca-l3dvar": "--",
    "horizontal-l3dvar": "--",
    "reconstruction": "--",
}
DISPLAY_UNITS = {"q": (1e3, "g kg⁻¹"), "msl": (1e-2, "hPa")}  # factor from SI, unit
SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
LARGE_PANELS = 4  # columns of panels at most

PACKAGES = {"lara": RED, "adao": BLUE, "dapper": SKY}  # colours of those LARA is compared with

LOOK = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "0.9",
    "axes.axisbelow": True,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "lines.linewidth": 1.5,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
}


def drawn(draw: Callable[[Any], Figure], shown: Any) -> Figure:
    """The figure that a figure file draws of the arrays it shows, in the look of all."""
    with _settings(LOOK):
        return draw(shown)


@contextmanager
def _settings(chosen: dict[Any, Any]) -> Iterator[None]:
    """Matplotlib as it is shipped but for what is chosen: a user's matplotlibrc changes no figure."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({"timezone": "UTC", **chosen})
        yield


def colour(name: str) -> str:
    """The colour of an experiment or source, the same in every figure; one not listed gets it by its name."""
    palette = [BLUE, SKY, GREEN, ORANGE, RED, PURPLE]
    name = name.removeprefix("osse-")
    return COLOURS.get(name, palette[zlib.crc32(name.encode()) % len(palette)])


def line(name: str) -> dict[str, Any]:
    """Colour, dashes and label of the line of an experiment or source."""
    return {"color": colour(name), "linestyle": DASHES.get(name.removeprefix("osse-"), "-"), "label": name}


def channel(name: str) -> Channel:
    """The channel called `name`, as "z500". ValueError when unknown."""
    from lara.state import Channels

    return Channels.parse([name]).channels[0]


def factor(variable: str) -> float:
    """What to multiply SI values by to plot them in `unit`."""
    return DISPLAY_UNITS.get(variable, (1.0, ""))[0]


def unit(variable: str) -> str:
    """The unit a variable is plotted in."""
    base, *powers = VARIABLES[variable].units.split()
    words = [_typeset(word) for word in (base, *powers)]
    return DISPLAY_UNITS.get(variable, (1.0, " ".join(words)))[1]


def _typeset(word: str) -> str:
    letters = word.rstrip("-0123456789")
    return letters + word[len(letters) :].translate(SUPERSCRIPTS)


def title(name: str) -> str:
    """A channel as read aloud: "Z500", or the long name at the surface."""
    found = channel(name)
    return VARIABLES[found.variable].long_name if found.level is None else name.upper()


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:#.3g}".rstrip(".")


def figure(width: float, height: float) -> Figure:
    """An empty figure (inches) that finds room for labels itself."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def panels(
    number: int, width: float = 3.4, height: float = 2.8, columns: int = LARGE_PANELS
) -> tuple[Figure, list[Axes]]:
    """A figure of `number` panels (inches each) in rows of at most `columns`."""
    columns = min(columns, number)
    rows = -(-number // columns)
    made = figure(max(width * columns, 5.0), height * rows)
    axes = made.subplots(rows, columns, squeeze=False).ravel()
    for empty in axes[number:]:
        empty.remove()
    return made, list(axes[:number])


def date_axis(axes: Axes) -> None:
    """Times along x, each label as short as those beside it allow."""
    from matplotlib import dates

    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(axes.xaxis.get_major_locator()))


def mark_times(axes: Axes, moments: Sequence[str]) -> None:
    """A dashed line at each of some moments (ISO times)."""
    from matplotlib import dates

    for moment in moments:
        axes.axvline(dates.date2num(np.datetime64(moment)), color=GREY, linestyle="--", linewidth=0.8)


def time_axis(axes: Axes, times: np.ndarray, begin: np.datetime64) -> None:
    """A series from the first to the last of `times`, from 0 upwards; what is before `begin`, the spin-up, is grey."""
    from matplotlib import dates

    first, last = times[[0, -1]]
    if begin > first:
        axes.axvspan(*dates.date2num([first, begin]), color="0.92", zorder=0)
    axes.set_xlim(first, last)
    axes.set_ylim(bottom=0)
    locator = dates.AutoDateLocator(minticks=2, maxticks=6)  # labels of a short run are long: "12:00"
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))


def pressure_axis(axes: Axes, levels: Sequence[float]) -> None:
    """Pressure (hPa) downward on a logarithmic y axis, ticks at the levels but the crowded ones."""
    from matplotlib.ticker import NullLocator

    axes.set_yscale("log")
    ticks: list[float] = []
    for level in sorted(levels, reverse=True):
        if not ticks or ticks[-1] / level > 1.15:
            ticks.append(level)
    axes.set_yticks(ticks, [f"{level:g}" for level in ticks])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_ylim(1.08 * max(levels), min(levels) / 1.08)
    axes.set_ylabel("pressure (hPa)")


def channel_axis(axes: Axes, names: Sequence[str]) -> list[np.ndarray]:
    """Channels along x, levels as ticks, variables below; returns the positions of each variable."""
    channels = [channel(name) for name in names]
    axes.set_xticks(range(len(names)), [c.variable if c.level is None else f"{c.level}" for c in channels], rotation=90)
    axes.set_xlim(-0.7, len(names) - 0.3)
    variables = dict.fromkeys(c.variable for c in channels)
    groups = [np.array([i for i, c in enumerate(channels) if c.variable == name]) for name in variables]
    for order, (name, group) in enumerate(zip(variables, groups, strict=True)):
        if order % 2:
            axes.axvspan(group[0] - 0.5, group[-1] + 0.5, color="0.96", zorder=0)
        if channels[group[0]].level is not None:
            axes.text(group.mean(), -0.17, name, transform=axes.get_xaxis_transform(), ha="center", va="top")
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("variable and pressure level (hPa)", labelpad=16)
    return groups


def save(figure: Figure, path: Path) -> None:
    """Write a figure at `path`, a PNG of 150 dots per inch, and as a PDF beside it; each is whole or absent.

    The PDF embeds its letters, so that text can be searched and edited, and no date: the same figure is the same file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _settings({"pdf.fonttype": 42}):
        _write(figure, path.with_suffix(".pdf"), metadata={"CreationDate": None})
        _write(figure, path, dpi=150)


def _write(figure: Figure, path: Path, **options: Any) -> None:
    partial = path.with_name(path.name + ".part")
    figure.savefig(partial, format=path.suffix.removeprefix("."), **options)
    partial.replace(path)
