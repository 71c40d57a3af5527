"""Leftovers of a run: listed, removed when told to, and nothing that is used, or that LARA did not make."""

import json
import os
import shutil
import time

import pytest

import worlds
from lara import config, locks
from lara.stages.networks import RunWithNetworks

STREAM = {"begin": "2001-01-02", "end": "2001-01-07", "chunk_days": 3}
OLD_STREAMS = {"free": {"old-stream": STREAM}, "old-free": {"only": STREAM}}
NEW_STREAMS = {"free": {"new-stream": {**STREAM, "chunk_days": 5}}}
CHUNK = "20010102T00"


def old_values():
    """The configuration that the run was first started with."""
    values = worlds.changed("production", {"streams": OLD_STREAMS})
    values["datasets"]["old-data"] = {**values["datasets"]["test"], "member": 9}
    values["autoencoders"]["old-net"] = values["autoencoders"]["main"]
    values["experiments"]["old-free"] = values["experiments"]["free"]
    values["single_observations"]["old-case"] = values["single_observations"]["east"]
    return values


def new_values():
    return worlds.changed("production", {"streams": NEW_STREAMS})


def leftovers(layout):
    """What is left over of the first configuration, there or not yet."""
    chunks = [layout.chunk("free", "old-stream", CHUNK), layout.chunk("old-free", "only", CHUNK)]
    cycled = [layout.cycled("old-free"), *chunks]
    data = layout.dataset("old-data")
    stores = [data, layout.archive("old-free"), *(part.archive for part in chunks)]
    folders = [data.with_name(f"{data.name}.receipts"), layout.training("old-net"), *(part.work for part in cycled)]
    folders += [layout.dataset_part("old-data", "x").parent, layout.observations("old-data", "x").parent]
    files = [layout.network_scores("old-net")]
    files += [layout.weights("old-net"), layout.errors("old-net"), *layout.curves("old-net")]
    files += [layout.background_error("old-net"), layout.increments("old-case"), layout.tuning("old-free")]
    files += [layout.scores("old-free"), layout.finished_scores("old-free"), layout.monthly_means("old-free")]
    files += [layout.structure("old-free"), layout.innovations("old-free")]
    for part in cycled:
        files += [part.archive_receipt, part.feedback, part.health, part.timings, part.restart]
    return stores, folders, files


@pytest.fixture
def run(world, tmp_path):
    """A run that was started with one configuration, and then with another in which most is renamed."""
    shutil.copytree(world.layout.root, tmp_path / "w")
    run = worlds.write_config(tmp_path / "w", new_values())
    config.write(config.parse(old_values()), run.layout.frozen_config("0123456789abcdef"))
    config.write(run.config, run.layout.frozen_config("fedcba9876543210"))
    stores, folders, files = leftovers(run.layout)
    for store in stores:
        made(store / "zarr.json", store / "geopotential" / "c.0.0.0", store / "time" / "zarr.json")
    for folder in folders:
        names = {
            "training": ["checkpoint-a.ckpt", "training.csv"],
            "work": ["ledger.jsonl", "feedback-00000002.parquet"],
        }
        made(*(folder / name for name in names.get(folder.name, ["all.receipt.json"])))
    made(*files)
    chunk = run.layout.chunk("free", "new-stream", CHUNK)
    made(chunk.archive / "zarr.json", chunk.archive_receipt, chunk.restart, run.layout.archive("free") / "zarr.json")
    return RunWithNetworks.open(tmp_path / "w")


def made(*paths):
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x" * 1000)


def all_files(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def told(run, words, capsys, status=0):
    capsys.readouterr()
    assert worlds.lara(run.layout.root, words) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def test_leftovers_are_listed_with_their_sizes_and_nothing_is_removed(run, capsys):
    """Every file of renamed datasets, networks, experiments, streams and cases; of what is named none."""
    before = all_files(run.layout.root)
    text = told(run, "prune", capsys)
    listed = {line.split("MB  ")[1] for line in text.splitlines() if "MB  " in line}
    assert listed == {str(path) for part in leftovers(run.layout) for path in part}
    assert "nothing was removed, --remove does it" in text
    assert all_files(run.layout.root) == before


def test_told_to_it_removes_them_and_only_them(run, capsys):
    """What is left is the run without them; empty folders go, and a second time there is nothing."""
    gone = [path for part in leftovers(run.layout) for path in part]
    kept = {
        path: raw
        for path, raw in all_files(run.layout.root).items()
        if not any(path == one or one in path.parents for one in gone)
    }
    assert "MB removed" in told(run, "prune --remove", capsys)
    assert all_files(run.layout.root) == kept
    assert not run.layout.network("old-net").exists()
    assert not run.layout.cycled("old-free").folder.exists()
    assert "nothing is left over" in told(run, "prune", capsys)


def test_files_that_lara_did_not_make_stay(run, capsys):
    """Beside leftovers, within their folders and stores, and under names that no configuration gave."""
    network, data = run.layout.network("old-net"), run.layout.dataset("old-data")
    mine = [network / "notes.md", data / "thoughts.txt", run.layout.archive("copy-of-free") / "zarr.json"]
    mine += [run.layout.scores("paper"), run.layout.dataset("mine") / "zarr.json", run.layout.weights("mine")]
    mine += [run.layout.chunk("old-free", "only", CHUNK).archive.with_name("20010102T00-copy.zarr") / "zarr.json"]
    mine += [run.layout.delivery("old-data/single-levels/2001-01"), run.layout.cycled("old-free").folder / "plot.png"]
    made(*mine)
    text = told(run, "prune --remove", capsys)
    assert all(path.exists() for path in mine)
    assert f"{data}: {data / 'thoughts.txt'} has no name that LARA gives" in text
    assert not run.layout.weights("old-net").exists()


def test_what_a_running_job_works_with_stays(run, capsys):
    """A job of an experiment that is renamed meanwhile reads its datasets and networks; others still go."""
    config.write(
        config.parse(worlds.changed("datasets.older", {**worlds.VALUES["datasets"]["test"], "member": 8})),
        run.layout.frozen_config("aaaaaaaaaaaaaaaa"),
    )
    made(run.layout.observations("older", "2001-01"))
    with locks.held(run.layout.chunk("old-free", "only", CHUNK).lock, "wait"):
        told(run, "prune --remove", capsys)
        assert all(path.exists() for part in leftovers(run.layout) for path in part)
        assert not run.layout.observations("older", "2001-01").exists()
    told(run, "prune --remove", capsys)
    assert not any(path.exists() for part in leftovers(run.layout) for path in part)


def test_a_job_of_which_nothing_is_known_stops_all_removal(run, capsys):
    with locks.held(run.layout.cycled("unheard-of").lock, "wait"):
        line = told(run, "prune --remove", capsys, 2)
        assert str(run.layout.cycled("unheard-of").lock) in line
    assert all(path.exists() for part in leftovers(run.layout) for path in part)


def test_the_lock_of_a_job_that_is_gone_keeps_nothing(run, capsys):
    """Not renewed for longer than any holder counts as alive; it is left over, too."""
    lock = run.layout.cycled("old-free").lock
    lock.write_text(json.dumps({"host": "gone", "process": 1, "started": "1", "job": "", "token": "t"}))
    os.utime(lock, (time.time() - 2 * locks.STALE,) * 2)
    told(run, "prune --remove", capsys)
    assert not lock.exists() and not run.layout.archive("old-free").exists()


def test_nothing_behind_a_link_is_removed(run, tmp_path, capsys):
    """Neither data that are another run's, nor what stands for an imported dataset, of which the link alone goes."""
    theirs = tmp_path / "theirs"
    run.layout.network("old-net").parent.rename(theirs)
    run.layout.network("old-net").parent.symlink_to(theirs)
    store = tmp_path / "store.zarr"
    run.layout.dataset("old-data").rename(store)
    run.layout.dataset("old-data").symlink_to(store)
    before = all_files(theirs) | all_files(store)
    text = told(run, "prune --remove", capsys)
    assert f"{run.layout.weights('old-net')}: it lies behind a link" in text
    assert all_files(theirs) | all_files(store) == before
    assert not run.layout.dataset("old-data").is_symlink()


def test_a_dataset_that_another_run_imports_stays(run, tmp_path, capsys):
    user = tmp_path / "user" / "data" / "old-data.zarr"
    user.parent.mkdir(parents=True)
    user.symlink_to(run.layout.dataset("old-data"))
    text = told(run, "prune --remove", capsys)
    assert f"{user} is a link to it" in text
    assert (user / "zarr.json").exists()


def test_a_version_is_left_over_with_its_experiment_alone(run, capsys):
    """Those of an experiment that is named are for `prune-archive`."""
    folders = [run.layout.archive(name).parent / "versions" / name for name in ("free", "old-free")]
    made(*(folder / "0123456789abcdef.zarr" / "zarr.json" for folder in folders))
    made(*(folder / "0123456789abcdef.zarr.receipt.json" for folder in folders))
    told(run, "prune --remove", capsys)
    assert folders[0].exists() and not folders[1].exists()


def test_a_configuration_that_cannot_be_read_names_nothing(run, capsys):
    """One cut off, and one of another version of LARA with keys that are unknown now: its names count."""
    run.layout.frozen_config("0123456789abcdef").write_text("experiments: [")
    assert "nothing is left over" in told(run, "prune", capsys)
    run.layout.frozen_config("0123456789abcdef").write_text("windows: 4\nexperiments: {old-free: {way: l5dvar}}\n")
    assert str(run.layout.archive("old-free")) in told(run, "prune", capsys)
