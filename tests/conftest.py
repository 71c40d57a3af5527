"""What every test shares: one thread, fixed seeds, small sealed datasets, and data that may be absent."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import worlds
from lara import store
from lara.grid import Grid
from lara.stages.networks import RunWithNetworks
from lara.state import Channels
from repository import REPOSITORY, alone_at, tiny
from trainings import STEP

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Tests on a run that is trained first are slow, too."""
    for item in items:
        if {"world", "cycled", "finished"} & set(item.fixturenames):
            item.add_marker("slow")


@pytest.fixture(autouse=True)
def _seeds():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002  libraries that still use the global generator


@pytest.fixture
def float64():
    """Makes float64 the default of torch, for mathematics compared to rounding error."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


@pytest.fixture(scope="session")
def shared_data():
    """Folder of real and synthetic observation files beside the repository; skips where it is absent."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no sample observation files at {folder}")
    return folder


@pytest.fixture
def stores(make_store):
    """Two datasets of 9 and 5 times; every value is the number of the state, the second from 100 on."""

    def numbered(name, begin, first, count):
        numbers = np.arange(first, first + count, dtype=np.float32)
        states = np.broadcast_to(numbers[:, None, None, None], (count, 6, 8, 16)).copy()
        return make_store(name, np.datetime64(begin, "ns") + STEP * np.arange(count), states)

    return [numbered("one", "2001-01-01", 0, 9), numbered("two", "2001-02-01", 100, 5)]


@pytest.fixture(scope="session")
def finished():
    """The folder of the tiny run, finished."""
    return tiny("all")


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory):
    """A folder that all test processes of this call share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def world(shared_folder):
    """The small run, trained and observed and nothing cycled, by one process for all; not to be touched."""
    folder, made = shared_folder / "world", shared_folder / "world-is-made"
    with alone_at(shared_folder / "world.lock"):
        if not made.exists():
            shutil.rmtree(folder, ignore_errors=True)
            worlds.tiny_run(folder)
            made.touch()
    return RunWithNetworks.open(folder)


@pytest.fixture(scope="session")
def cycled(world, shared_folder):
    """Function: the small run with an experiment cycled, once for all tests and processes; not to be touched."""
    folder = shared_folder / "cycled"
    with alone_at(shared_folder / "cycled.lock"):
        if not folder.exists():
            worlds.copied(world, folder)

    def cycle(name):
        run = RunWithNetworks.open(folder)
        with alone_at(shared_folder / f"cycled-{name}.lock"):
            if not run.layout.archive_receipt(name).exists():
                assert worlds.lara(folder, f"cycle-experiment --experiment {name}") == 0
        return run

    return cycle


@pytest.fixture
def later(tmp_path):
    """The package as it would be with one key more in every section."""
    shutil.copytree(REPOSITORY / "workflow" / "lara", tmp_path / "later" / "lara")
    path = tmp_path / "later" / "lara" / "config" / "sections.py"
    text, head = path.read_text(), '    """Base of every section: frozen, unknown keys refused, defaults checked."""\n'
    assert head in text
    path.write_text(text.replace(head, head + '\n    ema: bool = Field(False, description="a key of later days")\n'))
    return tmp_path / "later"


@pytest.fixture(scope="session")
def small_grid():
    return Grid.gaussian(8, 16)


@pytest.fixture(scope="session")
def small_channels():
    return Channels.of(["msl", "t2m"], ["z", "q"], [500, 850])


@pytest.fixture
def make_store(tmp_path, small_grid, small_channels):
    """Function (name, times, states) → sealed and opened dataset on the small grid."""

    def make(name, times, states):
        path = tmp_path / f"{name}.zarr"
        store.create(path, small_grid, small_channels, times)
        store.write_block(path, 0, states)
        store.seal(path, "all", 0, len(states))
        return store.open_state(path)

    return make
