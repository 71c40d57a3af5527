"""Proof of a run: whatever it has left is read, and a damaged file is named."""

import shutil

import pytest

import worlds
from damage import flip, shard
from lara import receipts
from lara.stages.networks import RunWithNetworks

CHUNKS = {"only": {"begin": "2001-01-02", "end": "2001-01-07", "chunk_days": 3}}


@pytest.fixture(scope="module")
def whole(world, tmp_path_factory):
    """The small run with an archive in one and one in two chunks; not to be touched."""
    folder = tmp_path_factory.mktemp("verify") / "w"
    shutil.copytree(world.layout.root, folder)
    run = worlds.write_config(folder, worlds.changed("production", {"streams": {"free": CHUNKS}}))
    worlds.receive(run)
    for chunk in run.config.production.chunks("free"):
        assert lara(run, f"cycle-chunk --chunk free/only/{chunk.name}") == 0
    for words in ("seal-archive --experiment free", "cycle-experiment --experiment autoencoder-only"):
        assert lara(run, words) == 0
    return run


@pytest.fixture
def run(whole, tmp_path):
    """A copy, to be damaged."""
    shutil.copytree(whole.layout.root, tmp_path / "w", symlinks=True)
    return RunWithNetworks.open(tmp_path / "w")


def lara(run, words):
    return worlds.lara(run.layout.root, words)


def told(run, words, capsys, status):
    capsys.readouterr()
    assert lara(run, words) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def test_a_whole_run_is_proven_part_by_part(whole, capsys):
    """Every part that was made, and none that was not."""
    lines = told(whole, "verify", capsys, 0).splitlines()
    parts = {line.removesuffix(" is whole") for line in lines}
    assert parts >= {"dataset/training", "statistics", "network/forecaster", "network/main", "covariance/model"}
    assert parts >= {"observations/test", "archive/free", "archive/autoencoder-only", "chunk/free/only/20010102T00"}
    assert not parts & {"archive/l4dvar", "forecasts/main"}


@pytest.mark.parametrize(
    ("only", "parts"),
    [
        ("dataset/test", {"dataset/test"}),
        ("test", {"dataset/test", "observations/test"}),
        ("main", {"network/main", "covariance/main"}),
        ("free", {"archive/free"}),
        ("statistics", {"statistics"}),
    ],
)
def test_one_part_is_proven_by_its_name(whole, capsys, only, parts):
    lines = told(whole, f"verify --only {only}", capsys, 0).splitlines()
    assert {line.removesuffix(" is whole") for line in lines} == parts


@pytest.mark.parametrize("only", ["nothing", "l4dvar"])
def test_what_is_not_there_is_refused_naming_what_is(whole, capsys, only):
    line = told(whole, f"verify --only {only}", capsys, 2)
    assert f"'{only}'" in line and "dataset/training" in line


def place(file):
    """Where a file holds data: in a table not its end, which tells of these."""
    return file.stat().st_size // (4 if file.suffix == ".parquet" else 2)


def bit(file):
    """A bit flipped."""
    flip(file, place(file))


def cut(file):
    file.write_bytes(file.read_bytes()[:-9])


def overwritten(file):
    """A block of other bytes, as a disk leaves."""
    raw = bytearray(file.read_bytes())
    block = slice(place(file), place(file) + 64)
    raw[block] = bytes(255 - byte for byte in raw[block])
    file.write_bytes(raw)


CHUNK = "20010102T00"
FILES = {
    "states": ("dataset/test", lambda layout: shard(layout.dataset("test"), 3)),
    "training states": ("dataset/training", lambda layout: shard(layout.dataset("training"), 20)),
    "statistics": ("statistics", lambda layout: layout.statistics),
    "weights": ("network/main", lambda layout: layout.weights("main")),
    "B": ("covariance/main", lambda layout: layout.background_error("main")),
    "B of model space": ("covariance/model", lambda layout: layout.background_error("model")),
    "observations": ("observations/test", lambda layout: layout.observations("test", "2001-01")),
    "screened": ("observations/test", lambda layout: layout.screened("test", "2001-01")),
    "archive": ("archive/autoencoder-only", lambda layout: shard(layout.archive("autoencoder-only"), 3, "temperature")),
    "version": ("archive/free", lambda layout: shard(layout.archive("free"), 3, "temperature")),
    "feedback": ("archive/free", lambda layout: layout.feedback("free")),
    "health": ("archive/autoencoder-only", lambda layout: layout.health("autoencoder-only")),
    "chunk": (
        f"chunk/free/only/{CHUNK}",
        lambda layout: shard(layout.chunk("free", "only", CHUNK).archive, 3, "temperature"),
    ),
    "restart": (f"chunk/free/only/{CHUNK}", lambda layout: layout.chunk("free", "only", CHUNK).restart),
}


HARMS = [(what, harm) for what in FILES for harm in (bit, cut, overwritten)]
HARMS.remove(("health", bit))  # of so few rows that it would hit the header of a page, and change nothing that is read


@pytest.mark.parametrize(("what", "harm"), HARMS)
def test_a_damaged_file_is_named_with_status_2(run, capsys, what, harm):
    """By the command for all and by that for the part; the others are whole."""
    part, path = FILES[what]
    file = path(run.layout)
    harm(file)
    for words in ("verify", f"verify --only {part}"):
        line = told(run, words, capsys, 2)
        assert str(file) in line or str(file.resolve()) in line, line
    other = "covariance/pca" if part != "covariance/pca" else "statistics"
    told(run, f"verify --only {other}", capsys, 0)


def test_a_lost_file_is_named(run, capsys):
    """A store whose receipt is there, a receipt whose store is, and a receipt that tells of other content."""
    shutil.rmtree(run.layout.dataset("test"))
    assert str(run.layout.dataset("test")) in told(run, "verify", capsys, 2)
    shutil.rmtree(run.layout.dataset("validation").with_name("validation.zarr.receipts"))
    assert str(run.layout.dataset("validation")) in told(run, "verify --only dataset/validation", capsys, 2)
    receipt = run.layout.dataset_part(*worlds.part(run, "training").split("/"))
    receipts.write(receipt, **{**receipts.read(receipt), "content": "other"})
    assert str(receipt) in told(run, "verify --only dataset/training", capsys, 2)


def test_what_an_archive_was_made_from_is_compared_with_what_is_there(run, capsys):
    """A background error made again by other means reads well, and is not what the archive states."""
    path = run.layout.screened("test", "2001-01")
    other = run.layout.screened("validation", "2001-01")
    path.write_bytes(other.read_bytes())
    line = told(run, "verify --only archive/free", capsys, 2)
    assert str(path) in line and str(run.layout.archive("free")) in line


def test_what_is_being_made_is_no_fault(run, capsys):
    """A dataset and an archive that no receipt closes yet; they are told apart from what is whole."""
    run.layout.dataset_part(*worlds.part(run, "test").split("/")).unlink()
    run.layout.archive_receipt("autoencoder-only").unlink()
    lines = told(run, "verify", capsys, 0).splitlines()
    assert {"dataset/test is not finished", "archive/autoencoder-only is not finished", "statistics is whole"} <= {
        *lines
    }


def test_every_fault_is_told_at_once(run, capsys):
    for path in (run.layout.statistics, run.layout.weights("main")):
        cut(path)
    line = told(run, "verify", capsys, 2)
    assert str(run.layout.statistics) in line and str(run.layout.weights("main")) in line


def test_weights_that_have_changed_are_no_longer_loaded(run, capsys):
    """The digest stands in their description; before, a flipped bit was another network without a word."""
    path = run.layout.weights("forecaster")
    flip(path, path.stat().st_size - 3)
    line = told(run, "measure-forecaster", capsys, 2)
    assert str(path) in line and "changed since its receipt was written" in line
