"""What one stage reads of another is whole, or refused with the file named and what to do."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import lara
import worlds
from damage import DAMAGES, spoil
from lara.networks import weights
from lara.observations import table as tables
from lara.stages import reading, writing
from tables import table_of

TABLE = pd.DataFrame({"number": np.linspace(0.0, 1.0, 300), "word": [f"w{n}" for n in range(300)]})


def read_weights(path):
    module = torch.nn.Linear(30, 20)
    weights.load(module, path, {"for": "a test"})
    return module


FORMATS = {  # ending: (write, read)
    ".nc": (lambda path: writing.write_dataset(TABLE[["number"]].to_xarray(), path), reading.read_dataset),
    "-table.parquet": (lambda path: writing.write_table(TABLE, path), reading.read_table),
    ".csv": (lambda path: writing.write_csv(TABLE, path), reading.read_csv),
    ".json": (lambda path: writing.write_record({"numbers": TABLE["number"].tolist()}, path), reading.read_record),
    "-observed.parquet": (lambda path: tables.write([table_of([1.0] * 50, [2.0] * 50)], path), tables.read),
    ".safetensors": (lambda path: weights.save(torch.nn.Linear(30, 20), path, {"for": "a test"}), read_weights),
}


@pytest.mark.parametrize("ending", FORMATS)
def test_what_was_written_is_read_and_may_be_written_again(tmp_path, ending):
    write, read = FORMATS[ending]
    for _ in range(2):
        write(tmp_path / f"a{ending}")
        assert read(tmp_path / f"a{ending}") is not None


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("ending", FORMATS)
def test_damage_is_found_and_the_file_named_with_the_remedy(tmp_path, ending, damage):
    """Also what would read back as other numbers."""
    write, read = FORMATS[ending]
    path = tmp_path / f"a{ending}"
    write(path)
    spoil(path, damage)
    expected = (FileNotFoundError, weights.WeightsError) if damage == "missing" else ValueError
    with pytest.raises(expected) as fault:
        read(path)
    assert path.name in str(fault.value) or path.name in str(getattr(fault.value, "filename", ""))
    if damage != "missing":
        assert "rerun the rule that makes it" in str(fault.value) or "run the training rule" in str(fault.value)


@pytest.mark.parametrize("ending", FORMATS)
def test_the_file_of_another_run_is_found(tmp_path, ending):
    """Whole, and not the one that was written here."""
    write, read = FORMATS[ending]
    path, other = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    write(path)
    if ending == ".safetensors":
        write(other)  # other random numbers
        path.write_bytes(other.read_bytes())
    else:
        path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(ValueError, match="rerun the rule that makes it"):
        read(path)


@pytest.mark.parametrize("ending", [".nc", "-table.parquet", ".json"])
@pytest.mark.parametrize("damage", ["empty", "halved", "text", "zeroed"])
def test_without_a_receipt_a_broken_file_is_named_as_well(tmp_path, ending, damage):
    """Results of before there were receipts; such that are whole are taken."""
    write, read = FORMATS[ending]
    path = tmp_path / f"a{ending}"
    write(path)
    path.with_name(f"{path.name}.receipt.json").unlink()
    assert read(path) is not None
    spoil(path, damage)
    with pytest.raises(ValueError, match=rf"a{re.escape(ending)} is damaged"):
        read(path)


def test_no_stage_reads_results_in_another_way():
    """So that none passes by the comparison; Snakemake's own benchmarks have no receipts."""
    ways = re.compile(
        r"load_dataset\(|open_dataset\(|pd\.read_parquet\(|pd\.read_csv\((?!path, sep)|json\.loads\(.*read_"
    )
    package = Path(lara.__file__).parent
    files = [*(package / "stages").rglob("*.py"), *(package / "figures").rglob("*.py")]
    found = {file.relative_to(package).as_posix() for file in files if ways.search(file.read_text())}
    assert found - {"stages/reading.py"} == {"stages/benchmarks/peers.py", "stages/benchmarks/data_rates.py"}


# The real files of a run


CHUNKED = worlds.changed("production", {"streams": {"eda": {"one": {"begin": "2001-01-02", "end": "2001-01-04"}}}})
CHUNKED["production"]["streams"]["eda"]["one"]["chunk_days"] = 1
CHUNKED["minimiser"] = {"evaluations": 3, "degrees_of_freedom_every": 0, "worst_reduction": 1.0}
CHUNKED["experiments"]["eda"] = {**worlds.ENSEMBLE, "members": 2}
CHUNKS = ("20010102T00", "20010103T00")


@pytest.fixture(scope="module")
def chunked(world, tmp_path_factory):
    """An ensemble cycled in two chunks; not to be touched."""
    run = worlds.copied(world, tmp_path_factory.mktemp("chunked") / "w", CHUNKED)
    for chunk in CHUNKS:
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk eda/one/{chunk}") == 0
    return run


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("what", ["feedback", "health", "timings", "members"])
def test_a_seal_refuses_damaged_parts_of_a_chunk(chunked, tmp_path, capsys, what, damage):
    run = worlds.copied(chunked, tmp_path / "w")
    path = getattr(run.layout.chunk("eda", "one", CHUNKS[0]), what)
    spoil(path, damage)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, "seal-archive --experiment eda") == 2
    assert str(path) in capsys.readouterr().err


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_chunk_refuses_a_damaged_restart_and_takes_the_one_that_is_made_again(chunked, tmp_path, capsys, damage):
    run = worlds.copied(chunked, tmp_path / "w")
    path = run.layout.chunk("eda", "one", CHUNKS[0]).restart
    raw = path.read_bytes()
    spoil(path, damage)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, f"cycle-chunk --chunk eda/one/{CHUNKS[1]}") == 2
    line = capsys.readouterr().err
    assert str(path) in line and ("job before" in line or damage == "missing")
    if damage == "a flipped bit":
        assert worlds.lara(run.layout.root, f"cycle-chunk --chunk eda/one/{CHUNKS[0]}") == 0
        assert path.read_bytes() == raw


@pytest.mark.parametrize("damage", ["halved", "a zeroed block", "a flipped bit"])
@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("models/main/errors.nc", "cycle-experiment --experiment l3dvar"),
        ("models/forecaster/errors.nc", "cycle-experiment --experiment l3dvar"),
        ("models/main/weights.safetensors", "cycle-experiment --experiment l3dvar"),
        ("covariance/main.npz", "cycle-experiment --experiment l3dvar"),
        ("data/statistics.npz", "cycle-experiment --experiment l3dvar"),
        ("observations/test/2001-01-screened.parquet", "cycle-experiment --experiment l3dvar"),
        ("observations/test/2001-01.parquet", "screen-observations --month test/2001-01"),
        ("observations/sites.parquet", "simulate-observations --month test/2001-01"),
        ("covariance/tuning/tuned.json", "cycle-experiment --experiment tuned"),
    ],
)
def test_a_job_names_the_damaged_file_that_another_left(world, tmp_path, capsys, what, words, damage):
    run = worlds.copied(world, tmp_path / "w")
    if what.endswith("tuned.json"):
        writing.write_record({"background": 1.5, "length": 1.0, "observation": 0.5}, run.layout.tuning("tuned"))
    path = run.layout.root / what
    for folder in [*path.parents][::-1]:
        if folder.is_symlink():
            worlds.unlinked(folder)
    if path.parent.is_symlink():
        worlds.unlinked(path.parent)
    raw = path.read_bytes()
    path.unlink()
    path.write_bytes(raw)
    spoil(path, damage)
    capsys.readouterr()
    assert worlds.lara(run.layout.root, words) == 2
    assert what.rpartition("/")[2] in capsys.readouterr().err


def test_datasets_keep_their_values(tmp_path):
    data = xr.Dataset({"a": ("x", np.arange(3.0))}, attrs={"n": 3})
    writing.write_dataset(data, tmp_path / "a.nc")
    xr.testing.assert_identical(reading.read_dataset(tmp_path / "a.nc"), data)
