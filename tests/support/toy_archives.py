"""A toy archive of three days, two channels, on 8 × 16 points, in sealed parts of a day."""

import numpy as np

from lara import store
from lara.grid import Grid
from lara.state import Channels

GRID, CHANNELS = Grid.gaussian(8, 16), Channels.of(["msl"], ["z"], [500, 850])
TIMES = np.datetime64("2000-02-27", "ns") + np.arange(12) * np.timedelta64(6, "h")
STATES = np.random.default_rng(0).standard_normal((12, 3, 8, 16)).astype(np.float32)
DAYS = [slice(4 * day, 4 * day + 4) for day in range(3)]


def write_part(path, day, states):
    """A sealed archive of one day, in place of what was there."""
    store.discard_archive(path)
    store.create_archive(path, GRID, CHANNELS, TIMES[DAYS[day]], {"title": "toy"})
    store.write_archive(path, 0, analysis=states[DAYS[day]], background=states[DAYS[day]])
    store.seal_archive(path)


def sealed_parts(folder):
    """Three days, sealed each."""
    paths = [folder / f"{day}.zarr" for day in range(3)]
    folder.mkdir(exist_ok=True)
    for day, path in enumerate(paths):
        write_part(path, day, STATES)
    return paths
