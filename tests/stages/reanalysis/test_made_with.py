"""What an archive says of software, machines and its owner: everything that occurs, and nothing that hinders a job."""

import logging
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pytest
import torch

import worlds
from lara import store
from lara.depends.settings import Settings
from lara.stages.reanalysis import cycle, made_with
from lara.stages.reanalysis.provenance import identity

NODES = {
    name: {
        "lara": "0.1.0",
        "commit": commit,
        "python": "3.11.14",
        "torch": "torch 2.14",
        "device": name,
        "driver": driver,
    }
    for name, commit, driver in (("GPU A", "aaaa", "NVIDIA driver 550.1"), ("GPU B", "bbbb+changes", "none"))
}
CHUNKS = {"only": {"begin": "2001-01-02", "end": "2001-01-07", "chunk_days": 2}}
OWNER = {"institution": "An institute", "license": "CC-BY-4.0", "references": "doi:10/x", "creator_email": "a@b.c"}


class Killed(BaseException):
    """Ends a job where it is."""


@pytest.fixture
def on_node(monkeypatch):
    """Function: let what is analysed from now on be analysed on a node."""

    def move(name):
        monkeypatch.setattr(made_with, "made_with", lambda _: NODES[name])

    return move


def attributes(run, name):
    return store.open_archive(run.layout.archive(name)).attrs


def fields(run, name):
    """Bytes of every file of an archive but its description."""
    return {path: raw for path, raw in worlds.outputs(run, name).items() if "zarr.json" not in path and "zarr/" in path}


def test_an_archive_states_what_it_was_made_with(cycled):
    """LARA and its commit, Python, torch and its CUDA, the device, and no driver where none was used."""
    found = attributes(cycled("free"), "free")
    assert found["made_with_lara"] == version("lara")
    assert found["made_with_python"] == ".".join(map(str, sys.version_info[:3]))
    assert torch.__version__ in found["made_with_torch"]
    assert found["made_with_device"] and found["made_with_driver"] == "none"
    assert found["made_with_commit"] == made_with.commit()


def test_the_commit_is_that_of_the_sources_and_tells_of_changes(tmp_path, monkeypatch):
    """None outside of a checkout, be it within another one that does not know the file."""
    package = tmp_path / "repository" / "package"
    package.mkdir(parents=True)
    monkeypatch.setattr(made_with, "PACKAGE", package)

    def told():
        made_with.commit.cache_clear()
        return made_with.commit()

    def git(*words):
        who = ["-c", "user.name=n", "-c", "user.email=e@x", "-c", "commit.gpgsign=false"]
        return subprocess.run(["git", "-C", str(package), *who, *words], check=True, text=True, capture_output=True)

    (package / "__init__.py").write_text("")
    assert told() == "none"
    git("init", "-q", str(package.parent))
    assert told() == "none"
    git("add", ".")
    git("commit", "-qm", "m")
    head = git("rev-parse", "--short=12", "HEAD").stdout.strip()
    assert told() == head
    (package / "__init__.py").write_text("1\n")
    assert told() == f"{head}+changes"
    monkeypatch.setenv("PATH", "")
    assert told() == "none"
    made_with.commit.cache_clear()


def test_a_job_killed_on_one_node_goes_on_on_another_and_the_archive_states_both(
    world, cycled, tmp_path, monkeypatch, on_node, caplog
):
    """After its last checkpoint, and to the bytes of an undisturbed job in every field."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("production.checkpoint_every", 1))
    analyse = cycle.analyse

    def deadly(*arguments):
        for number, analyses in enumerate(analyse(*arguments)):
            if number == 3:
                raise Killed
            yield analyses

    on_node("GPU A")
    monkeypatch.setattr(cycle, "analyse", deadly)
    with pytest.raises(Killed):
        worlds.lara(run.layout.root, "cycle-experiment --experiment free")
    monkeypatch.setattr(cycle, "analyse", analyse)
    on_node("GPU B")
    with caplog.at_level(logging.WARNING):
        assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
    assert "goes on after window 3 of 5" in caplog.text
    found = attributes(run, "free")
    assert found["made_with_device"] == "GPU A; GPU B"
    assert found["made_with_commit"] == "aaaa; bbbb+changes"
    assert found["made_with_driver"] == "NVIDIA driver 550.1; none"
    assert found["made_with_torch"] == "torch 2.14"
    assert fields(run, "free") == fields(cycled("free"), "free")
    assert store.verify_archive(run.layout.archive("free")) == []


def test_chunks_made_on_two_nodes_are_sealed_together_and_all_values_are_stated(world, tmp_path, on_node):
    """In the order of time; each chunk states its own, and the seal's node, which analyses nothing, is not named."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("production", {"streams": {"free": CHUNKS}}))
    chunks = run.config.production.chunks("free")
    for chunk, node in zip(chunks, ("GPU B", "GPU A", "GPU B"), strict=True):
        on_node(node)
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk free/only/{chunk.name}") == 0
        made = store.open_archive(run.layout.chunk("free", "only", chunk.name).archive).attrs
        assert made["made_with_device"] == node
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    assert attributes(run, "free")["made_with_device"] == "GPU B; GPU A"
    assert store.verify_archive(run.layout.archive("free")) == []


def test_a_chunk_made_again_elsewhere_is_a_version_that_shares_all_but_its_description(world, tmp_path, on_node):
    """A version is named by all its bytes, what it says of itself included: equal fields are no files of their own."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("production", {"streams": {"free": CHUNKS}}))
    labels = [f"free/only/{chunk.name}" for chunk in run.config.production.chunks("free")]
    on_node("GPU A")
    for label in labels:
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk {label}") == 0
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    on_node("GPU B")
    assert worlds.lara(run.layout.root, f"cycle-chunk --chunk {labels[-1]}") == 0
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    new, old = store.versions_of(run.layout.archive("free"))
    names = [file.relative_to(new) for file in new.rglob("*") if file.is_file()]
    assert [str(name) for name in names if not (new / name).samefile(old / name)] == ["zarr.json"]


def test_no_identity_knows_the_machine_or_the_owner(world, tmp_path, on_node):
    """Neither that of restarts nor the settings that the rules plan by, but for the seal."""
    own = worlds.copied(world, tmp_path / "own", worlds.changed("archive.attributes", OWNER))
    first = cycle.all_windows(world, "free")[0]
    before = identity(world, "free", first)
    on_node("GPU A")
    assert identity(world, "free", first) == identity(own, "free", first) == before
    mine, theirs = Settings(world.config), Settings(own.config)
    assert mine.experiment("free") == theirs.experiment("free")
    assert mine.attribution("free") != theirs.attribution("free")


def test_an_archive_says_whose_it_is_and_what_it_covers(world, tmp_path):
    """By configuration, in the names of ACDD; times and places as they are; nothing that was not said."""
    run = worlds.copied(world, tmp_path / "w", worlds.changed("archive.attributes", {**OWNER, "title": "Mine"}))
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
    found = attributes(run, "free")
    assert found.items() >= {**OWNER, "title": "Mine", "Conventions": "CF-1.11, ACDD-1.3"}.items()
    assert found["time_coverage_start"] == "2001-01-02T00:00:00Z"
    assert found["time_coverage_end"] == "2001-01-06T18:00:00Z"
    assert found["time_coverage_resolution"] == "PT6H"
    assert found["geospatial_lat_min"] == pytest.approx(run.grid.latitude.min())
    assert found["geospatial_lon_max"] == pytest.approx(337.5)
    assert (found["geospatial_vertical_min"], found["geospatial_vertical_max"]) == (500.0, 850.0)
    assert "free" in found["summary"] and "simulated" in found["source"]
    assert not {"history", "comment", "publisher_name"} & found.keys()


def test_another_licence_seals_again_and_cycles_nothing(world, tmp_path, monkeypatch):
    """Chunks stay as they are; of an archive that is one job a command does it, which keeps what it was made with."""
    streams = {"production": {"streams": {"free": CHUNKS}}}
    run = worlds.copied(world, tmp_path / "w", {**worlds.VALUES, **streams})
    for chunk in run.config.production.chunks("free"):
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk free/only/{chunk.name}") == 0
    for words in ("seal-archive --experiment free", "cycle-experiment --experiment autoencoder-only"):
        assert worlds.lara(run.layout.root, words) == 0
    before = attributes(run, "autoencoder-only")
    run = worlds.write_config(run.layout.root, {**worlds.VALUES, **streams, "archive": {"attributes": OWNER}})
    monkeypatch.setattr(cycle, "analyse", None)
    assert worlds.lara(run.layout.root, "attribute-archive --experiment free") == 2
    for words in ("seal-archive --experiment free", "attribute-archive --experiment autoencoder-only"):
        assert worlds.lara(run.layout.root, words) == 0
    for name in ("free", "autoencoder-only"):
        assert attributes(run, name)["license"] == "CC-BY-4.0"
        assert store.verify_archive(run.layout.archive(name)) == []
    assert attributes(run, "autoencoder-only") == before | OWNER | {
        "added_when_sealed": attributes(run, "autoencoder-only")["added_when_sealed"]
    }


def test_a_job_killed_between_description_and_receipt_goes_on(world, tmp_path, monkeypatch):
    """No window is analysed again."""
    run = worlds.copied(world, tmp_path / "w")
    seal = store.archive.receipts.write

    def deadly(path, **content):
        if path == run.layout.archive_receipt("free"):
            raise Killed
        seal(path, **content)

    monkeypatch.setattr(store.archive.receipts, "write", deadly)
    with pytest.raises(Killed):
        worlds.lara(run.layout.root, "cycle-experiment --experiment free")
    monkeypatch.setattr(store.archive.receipts, "write", seal)
    monkeypatch.setattr(cycle, "cycle", None)
    assert worlds.lara(run.layout.root, "cycle-experiment --experiment free") == 0
    assert attributes(run, "free")["title"] == "LARA world: free (free)"


def test_an_attribute_that_an_archive_has_of_its_own_is_not_replaced(tmp_path, small_grid, small_channels):
    times = np.datetime64("2001-01-01", "ns") + np.arange(4) * np.timedelta64(6, "h")
    path, states = tmp_path / "toy.zarr", np.ones((4, 6, 8, 16), np.float32)
    store.create_archive(path, small_grid, small_channels, times, {"settings": "one"})
    store.write_archive(path, 0, analysis=states, background=states)
    with pytest.raises(store.StoreError, match="settings"):
        store.seal_archive(path, added={"settings": "another"})
    shutil.rmtree(path)
