"""What a configuration costs, against what a made run of the test world did cost."""

from dataclasses import replace

import pytest
import torch
from torch import nn

import worlds
from lara import config
from lara.cli import main
from lara.stages.benchmarks.estimate import KINDS, cycled_days, estimate, misfits, rows_per_time, table
from lara.stages.benchmarks.operation_counts import measure
from repository import REPOSITORY


def jobs_of(values, measured=None):
    return {job.job: job for job in estimate(config.parse(values), measured)}


@pytest.fixture(scope="module")
def jobs():
    return jobs_of(worlds.VALUES)


def test_operations_and_what_is_saved_are_those_of_a_matrix_product():
    """A layer of 3 → 5 on 7 rows: 2·7·3·5 operations; the gradient of its weights needs the input of 7·3 values and,
    for that of the input, its weights of 3·5; float32."""
    work = measure(lambda: nn.Linear(3, 5, bias=False), (7, 3))
    assert work.operations == 2 * 7 * 3 * 5
    assert work.saved == 4 * (7 * 3 + 3 * 5)


def test_twice_a_network_takes_twice_its_operations():
    work = measure(lambda: nn.Linear(4, 4), (4,))
    twice = measure(lambda: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), (4,))
    assert twice.operations == (work + work).operations == (work * 2).operations > 0


def test_nothing_is_computed_and_no_weights_are_made():
    """A layer of 10¹² weights could not be."""
    assert measure(lambda: nn.Linear(10**6, 10**6), (10**6,)).operations == 2e12


def test_datasets_take_the_bytes_and_files_that_they_are_estimated_to(jobs, world):
    """Checksums and indices make a store at most a tenth larger than its states; one file a day."""
    folder = world.layout.dataset("training") / "state"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "zarr.json"]
    job = jobs["generate-dataset-training"]
    assert job.files == len(files)
    assert 1.0 <= sum(path.stat().st_size for path in files) / job.disk < 1.1


def test_the_network_has_as_many_data_as_are_simulated(world):
    from lara.observations import table as tables

    rows = tables.read(world.layout.observations("test", "2001-01"))
    assert rows_per_time(world.config) == len(rows) / rows[tables.TIME].nunique()


def test_a_gradient_through_more_steps_costs_more_and_a_control_next_to_nothing(jobs):
    """L4DVar integrates three steps that L3DVar does not, and a free run takes no gradient."""
    cost = {name: jobs[f"cycle-experiment-{name}"] for name in ("l4dvar", "l3dvar", "free")}
    assert cost["l4dvar"].memory > cost["l3dvar"].memory > cost["free"].memory == 0
    assert cost["l4dvar"].amount > 10 * cost["free"].amount


def test_hours_are_those_measured_where_the_configuration_is_the_measured_one(world, tmp_path):
    """Each kind's amount per second, times its amount, is what its jobs took together; exact but for rounding."""
    run = worlds.copied(world, tmp_path / "measured")
    names = [job.job for job in estimate(run.config)]
    for number, name in enumerate(names):
        path = run.layout.benchmark(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\th:m:s\n{36 * (number + 1)}\t0\n")
    found = jobs_of(worlds.VALUES, run.layout.root)
    for kind in KINDS:
        alike = [number for number, name in enumerate(names) if name.startswith(kind)]
        assert sum(found[names[n]].hours for n in alike) == pytest.approx(sum(0.01 * (n + 1) for n in alike))


def test_downloads_come_with_the_requests_and_the_grib_they_take():
    """Two products in each month; 16 bits a value and a header, so that all fields take at least two bytes a point."""
    values = config.load(REPOSITORY / "config" / "tiny-era5.yaml")
    (downloads,) = [job for job in estimate(values) if job.requests]
    months = sum(len(values.deliveries(name)) for name in values.datasets)
    assert downloads.requests == months
    datasets = sum(job.disk for job in estimate(values) if job.job.startswith("generate-dataset"))
    rows, columns = values.source.shape
    fields = datasets / 4 / values.grid.latitudes / values.grid.longitudes
    assert fields * 2 * rows * columns < downloads.disk < 1.5 * fields * 2 * rows * columns
    assert table(estimate(values))["CDS requests"].iloc[-1] == months


def test_devices_share_the_memory_and_the_time_of_trainings_alone(jobs):
    """Of a batch each takes its part; weights and their moments are on every one."""
    shared = {job.job: job for job in estimate(config.parse(worlds.VALUES), devices=4)}
    for name, job in jobs.items():
        assert shared[name].amount == job.amount
        assert (shared[name].memory < job.memory) == name.startswith("train-")
        assert shared[name].memory >= job.memory / 4


def test_without_measurements_there_are_no_hours(jobs):
    assert {job.hours for job in jobs.values()} == {None}
    assert table(list(jobs.values()))["hours"].isna().all()


def test_a_run_without_benchmarks_is_refused(world):
    with pytest.raises(FileNotFoundError, match="no benchmark of a job in"):
        estimate(world.config, world.layout.root)


def test_what_cannot_fit_is_named_with_its_size(jobs, tmp_path):
    """A device of a kilobyte, an exabyte of disk, and more files than any file system holds."""
    found = list(jobs.values())
    assert list(misfits(found, tmp_path / "not-made-yet", 2.0**40)) == []
    assert "device memory: train-autoencoder-main needs" in next(misfits(found, tmp_path, 2.0**10))
    assert "disk space: 931322575 GiB" in next(misfits([replace(found[0], disk=1e18)], tmp_path, None))
    assert "files:" in next(misfits([replace(found[0], files=10**18)], tmp_path, None))


def test_the_command_prints_a_table_and_refuses_with_status_2(tmp_path, capsys):
    path = tmp_path / "world.yaml"
    config.write(config.parse(worlds.VALUES), path)
    assert main(["estimate", "--configfile", str(path)]) == 0
    assert "cycle-experiment-l4dvar" in capsys.readouterr().out
    assert main(["estimate", "--configfile", str(path), "--device-memory", "1e-6"]) == 2
    assert "train on more devices" in capsys.readouterr().err


def test_days_in_which_streams_spin_up_are_cycled_too():
    """Eight days of the tiny configuration, the second stream of which begins two days earlier."""
    tiny = config.load(REPOSITORY / "config" / "tiny.yaml")
    assert cycled_days(tiny, "two-streams") == 8 + 2
    assert cycled_days(tiny, "two-streams-free") == 8


def test_every_configuration_of_the_repository_can_be_estimated():
    """Also those that no machine here could run."""
    for path in sorted((REPOSITORY / "config").glob("*.yaml")):
        assert all(job.amount > 0 for job in estimate(config.load(path)) if "pca" not in job.job), path
    assert torch.get_default_device() == torch.device("cpu")
