"""Imports from another run: the same analyses without training, and nothing that is damaged or of other settings."""

import json
import shutil

import numpy as np
import pytest

import worlds
from damage import flip, shard
from lara import normalise, receipts, store
from lara.config import ConfigError, parse
from lara.depends.imports import Imports
from lara.networks import weights
from lara.stages.data.dataset import lay_out
from lara.stages.networks import RunWithNetworks
from lara.stages.run import time, time_range

TAKE = [
    "import-statistics",
    "import-network --network forecaster",
    "import-network --network main",
    "import-background-error --space main",
    "import-dataset --part test/20010101-20010109",
]
OBSERVE = ["draw-sites", "simulate-observations --month test/2001-01", "screen-observations --month test/2001-01"]


@pytest.fixture
def other(world, tmp_path):
    """Another run, whole: a copy of the small one, to be damaged."""
    shutil.copytree(world.layout.root, tmp_path / "other")
    run = RunWithNetworks.open(tmp_path / "other")
    worlds.receive(run)
    return run


@pytest.fixture
def new(other, tmp_path):
    """A run under a new name that takes all of it; it has nothing yet."""
    return importing(other, tmp_path / "new")


def importing(other, folder, **imports):
    values = {**worlds.VALUES, "name": "new", "imports": {"run": str(other.layout.root), **imports}}
    return worlds.write_config(folder, values)


def held(run):
    """Size, time and bytes of every file of a run."""
    files = sorted(path for path in run.layout.root.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, receipts.digest(path)) for path in files}


def lara(run, words):
    return worlds.lara(run.layout.root, words)


def fields(run, name):
    """Bytes of every file of an archive but its description."""
    root = run.layout.archive(name)
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and path != root / "zarr.json"
    }


def test_a_run_that_imports_analyses_as_the_run_it_imports_from(other, new, cycled):
    """Every byte of every field; nothing trained, and nothing of the other run touched. Archive and weights say what
    was taken of whom, by the digests of the other run's files."""
    before = held(other)
    for words in (*TAKE, *OBSERVE, "cycle-experiment --experiment l4dvar"):
        assert lara(new, words) == 0, words
    assert fields(new, "l4dvar") == fields(cycled("l4dvar"), "l4dvar")
    assert held(other) == before
    theirs = {name: receipts.digest(other.layout.weights(name)) for name in ("main", "forecaster")}
    for name, digest in theirs.items():
        note = weights.read(new.layout.weights(name))[0][weights.TRAINING]
        assert note["imported"] == {"run": "other", "digest": digest}
    assert json.loads(store.open_archive(new.layout.archive("l4dvar")).attrs["imported"]) == {
        "run": "other",
        "data/statistics.npz": receipts.digest(other.layout.statistics),
        "data/test.zarr": store.content_digest(other.layout.dataset("test"), *map(time, other.config.period("l4dvar"))),
        "covariance/main.npz": receipts.digest(other.layout.background_error("main")),
        **{f"models/{name}/weights.safetensors": digest for name, digest in theirs.items()},
    }
    assert receipts.read(new.layout.dataset_part("test", "20010101-20010109"))["imported"] == {"run": "other"}
    assert store.verify_archive(new.layout.archive("l4dvar")) == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def spoil(path):
    flip(path, path.stat().st_size - 5)


DAMAGES = {
    "weights": ("import-network --network main", lambda run: run.layout.weights("main"), spoil),
    "cut weights": ("import-network --network forecaster", lambda run: run.layout.weights("forecaster"), cut),
    "errors": ("import-network --network main", lambda run: run.layout.errors("main"), cut),
    "statistics": ("import-statistics", lambda run: run.layout.statistics, cut),
    "B": ("import-background-error --space main", lambda run: run.layout.background_error("main"), cut),
    "states": ("import-dataset --part test/20010101-20010109", lambda run: shard(run.layout.dataset("test"), 2), cut),
    "no curves": ("import-network --network forecaster", lambda run: run.layout.curves("forecaster")[0], "gone"),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_a_damaged_file_of_the_other_run_is_refused_by_name(other, new, capsys, what):
    """Status 2, and nothing is left that would pass for what was asked for."""
    words, path, harm = DAMAGES[what]
    assert lara(new, "import-statistics") == 0 or what == "statistics"
    file = path(other)
    file.unlink() if harm == "gone" else harm(file)
    new.layout.statistics.unlink() if what == "statistics" else None
    capsys.readouterr()
    assert lara(new, words) == 2
    assert str(file) in capsys.readouterr().err
    kept = [new.layout.weights("main"), new.layout.weights("forecaster"), new.layout.background_error("main")]
    assert not any(path.exists() for path in [*kept, new.layout.dataset_part("test", "20010101-20010109")])


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("state.levels", [500, 850, 925], TAKE[0]),
        ("forecaster.blocks", 2, TAKE[1]),
        ("forecaster.training.batch_size", 8, TAKE[1]),
        ("autoencoders.main.latent_channels", 10, TAKE[2]),
        ("datasets.training.begin", "2001-01-02", TAKE[1]),
        ("forecaster.relaxation_days", 20.0, TAKE[3]),
        ("autoencoders.main.corrections", 1, TAKE[3]),
        ("background_error.samples", 30, TAKE[3]),
        ("datasets.test.end", "2001-01-08", TAKE[4]),
        ("datasets.test.member", 7, TAKE[4]),
        ("source.spin_up_days", 3, TAKE[4]),
        ("seed", 1, TAKE[4]),
    ],
)
def test_what_was_made_of_other_settings_is_refused_with_the_key(other, new, tmp_path, capsys, key, value, words):
    """The key in full, with what it is in either run, and what to do."""
    worlds.write_config(other.layout.root, worlds.changed(key, value))
    capsys.readouterr()
    assert lara(new, words) == 2
    line = capsys.readouterr().err
    name = "datasets.test" if key == "datasets.test.end" else key
    assert f"{name} is " in line and " there and " in line and "make it here, or set the key" in line


def test_what_is_of_another_grid_is_refused_though_the_settings_agree(other, new, capsys):
    """Files put there by hand: statistics of half the longitudes, weights described for them."""
    found = normalise.load(other.layout.statistics)
    module, chosen = other.autoencoder("main"), other.config.autoencoders["main"]
    assert lara(new, "import-statistics") == 0
    half = {name: getattr(found, name)[..., ::2] for name in ("mean", "climatology")}
    normalise.save(normalise.Statistics(**{**vars(found), **half}), other.layout.statistics)
    described = other.description(chosen) | {"grid": {"kind": "gaussian", "latitudes": 8, "longitudes": 8}}
    weights.save(module, other.layout.weights("main"), described)
    for words, parts in (
        ("import-statistics", ("(8, 8)", "(8, 16)")),
        ("import-network --network main", ("'longitudes': 8",)),
    ):
        capsys.readouterr()
        assert lara(new, words) == 2
        line = capsys.readouterr().err
        assert all(part in line for part in parts), line


@pytest.mark.parametrize(("key", "value"), [("forecaster.training.checkpoint_every", 7), ("minimiser.evaluations", 3)])
def test_a_key_that_changes_nothing_of_what_is_taken_is_no_fault(other, new, key, value):
    worlds.write_config(other.layout.root, worlds.changed(key, value))
    assert Imports(new.config).faults() == []


def test_networks_trained_in_other_units_are_refused(other, new, capsys):
    """Statistics made again in the other run since, of other data: their digest is not the one that weights name."""
    found = normalise.load(other.layout.statistics)
    changed = {**vars(found), "change_std": 1.1 * found.change_std}
    normalise.save(normalise.Statistics(**changed), other.layout.statistics)
    assert lara(new, "import-statistics") == 0
    capsys.readouterr()
    assert lara(new, "import-network --network main") == 2
    line = capsys.readouterr().err
    assert str(other.layout.statistics) in line and "other statistics" in line


def test_a_background_error_of_a_network_made_here_is_refused(other, tmp_path, capsys):
    """B belongs to the networks it was estimated with; left out, it is no fault and B is estimated here."""
    run = importing(other, tmp_path / "new", networks=["forecaster"], spaces=["main"])
    capsys.readouterr()
    assert lara(run, "import-background-error --space main") == 2
    assert "'main' was made with the main there" in capsys.readouterr().err
    run = importing(other, tmp_path / "new", networks=["forecaster"])
    assert Imports(run.config).spaces == ("model",) and Imports(run.config).faults() == []


def test_windows_longer_than_the_measured_errors_are_refused(other, tmp_path, capsys):
    """R of later slots needs the model's error there."""
    values = worlds.changed("experiments.4dvar.slots", 8)
    values["imports"] = {"run": str(other.layout.root)}
    run = worlds.write_config(tmp_path / "new", values)
    assert lara(run, "import-statistics") == 0
    capsys.readouterr()
    assert lara(run, "import-network --network forecaster") == 2
    assert str(other.layout.errors("forecaster")) in capsys.readouterr().err


def test_what_is_not_to_be_imported_is_refused_naming_what_is(other, tmp_path, capsys):
    run = importing(other, tmp_path / "new", datasets=["training"])
    assert lara(run, "import-dataset --part test/20010101-20010109") == 2
    assert "training" in capsys.readouterr().err
    plain = worlds.write_config(tmp_path / "plain", worlds.VALUES)
    assert lara(plain, "import-statistics") == 2
    assert "imports.run is null" in capsys.readouterr().err


def test_a_folder_that_is_no_run_is_named(tmp_path):
    values = {**worlds.VALUES, "imports": {"run": str(tmp_path / "nowhere")}}
    (line,) = Imports(parse(values)).faults()
    assert str(tmp_path / "nowhere" / "config.yaml") in line and "is not there" in line


@pytest.mark.parametrize(
    ("imports", "named"),
    [
        ({"run": "x", "networks": ["mian"]}, "imports.networks: 'mian'"),
        ({"run": "x", "spaces": ["mian"]}, "imports.spaces: 'mian'"),
        ({"run": "x", "datasets": ["tets"]}, "imports.datasets: 'tets'"),
        ({"networks": ["main"]}, "imports: networks ['main'] are of no run"),
    ],
)
def test_imports_of_what_there_is_not_are_refused_before_the_plan(imports, named):
    with pytest.raises(ConfigError) as caught:
        parse({**worlds.VALUES, "imports": imports})
    assert named in str(caught.value)


def test_states_made_here_are_never_given_up_for_imported_ones(world, other, tmp_path, capsys):
    """The store of its own is named and kept, whole."""
    run = importing(other, tmp_path / "new")
    shutil.copytree(other.layout.root / "data", run.layout.root / "data")
    before = held(run)
    assert lara(run, "import-dataset --part test/20010101-20010109") == 2
    assert str(run.layout.dataset("test")) in capsys.readouterr().err
    assert held(run) == before


def test_a_dataset_that_is_imported_no_more_is_made_here_and_the_other_stays(other, new):
    """The link goes, and what is written is not written through it."""
    assert lara(new, "import-dataset --part test/20010101-20010109") == 0
    assert new.layout.dataset("test").is_symlink()
    before = held(other)
    run = worlds.write_config(new.layout.root, {**worlds.VALUES, "name": "new"})
    chosen = run.config.datasets["test"]
    times = time_range(chosen.begin, chosen.end, run.step)
    lay_out(run, "test", times)
    store.write_block(run.layout.dataset("test"), 0, np.ones((len(times), 6, 8, 16), np.float32))
    assert not run.layout.dataset("test").is_symlink()
    assert held(other) == before
