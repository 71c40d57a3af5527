"""The report of a long reanalysis in streams, the monthly means, and where dask computes them."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from distributed import LocalCluster

import worlds
from lara import store
from lara.layout import Layout
from lara.stages.networks import RunWithNetworks
from lara.stages.states import states_of
from lara.stages.verification import long_run, stream_joins
from lara.stages.writing import write_table

STREAMS = {
    "early": {"begin": "2001-01-02", "end": "2001-01-04", "chunk_days": 1},
    "late": {"begin": "2001-01-04", "end": "2001-01-07", "spin_up_days": 1, "chunk_days": 2},
}
JOIN = np.datetime64("2001-01-04", "ns")


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """The small run, its control in two streams and the autoencoder's control in one job: the suite `production`."""
    values = worlds.changed("production", {"streams": {"free": STREAMS}, "reference": "free", "spin_up_days": 0})
    for name in ("free", "autoencoder-only"):
        values["experiments"][name]["suite"] = "production"
    run = worlds.copied(world, tmp_path_factory.mktemp("report") / "w", values)
    jobs = [f"cycle-chunk --chunk free/{c.stream}/{c.name}" for c in run.config.production.chunks("free")]
    jobs += ["seal-archive --experiment free", "cycle-experiment --experiment autoencoder-only"]
    jobs += [f"{do} --experiment {name}" for name in values["production"]["streams"] for do in ("score-experiment",)]
    jobs += ["score-experiment --experiment autoencoder-only", "report-production"]
    for words in jobs:
        assert worlds.lara(run.layout.root, words) == 0, words
    return run


def states(run, name, times):
    return states_of(run, store.open_archive(run.layout.archive(name)).sel(time=times), "").astype(np.float64)


def mean(run, fields):
    share = run.grid.area_weights / run.grid.area_weights.sum()
    return np.einsum("tcyx,yx->tc", fields, share)


def test_global_means_are_those_of_the_archive_though_they_come_from_scores(run):
    """Mean of the truth plus mean error equals the mean of the analyses, to the float32 that states are in (1e-6)."""
    found = xr.load_dataset(run.layout.production("series.nc")).sel(experiment="free")
    times = store.open_archive(run.layout.archive("free"))["time"].values
    direct = mean(run, states(run, "free", times)) @ long_run.quantities(run).values.T
    np.testing.assert_allclose(found["mean"].transpose("time", "quantity"), direct.reshape(5, 4, 2).mean(1), rtol=1e-6)
    assert found["quantity"].values.tolist() == ["z500", "t"]


def test_temperature_is_its_mean_over_pressure(run):
    """Two levels share the layer between them in halves."""
    assert long_run.quantities(run).sel(quantity="t").values[-2:].tolist() == [0.5, 0.5]


def test_the_report_counts_cycles_failures_and_speed(run):
    found = json.loads(run.layout.production("report.json").read_text())["experiments"]["free"]
    assert (found["windows"], found["failed"], found["streams"]) == (5, 0, 2)
    timings = pd.read_parquet(run.layout.timings("free"))["seconds"]
    assert found["cycles_per_hour"] == pytest.approx(3600 / timings.mean())


def test_a_window_that_is_not_in_the_ledger_counts_as_failed(run, tmp_path):
    short = worlds.copied(run, tmp_path / "w")
    ledger = pd.read_parquet(short.layout.health("free"))
    write_table(ledger.iloc[1:], short.layout.health("free"))
    assert long_run.cycles(short, "free")["failed"] == 1


def test_trends_are_of_analysis_truth_and_their_difference_with_rmse(run):
    table = pd.read_csv(run.layout.production("trends.csv"))
    assert set(table["of"]) == {"analysis", "truth", "analysis less truth"}
    assert set(table["quantity"]) == {"global mean z500", "global mean t", "rmse z500", "rmse t850"}
    assert (table["low"] < table["trend_per_year"]).all() and (table["trend_per_year"] < table["high"]).all()


def test_the_difference_of_streams_is_that_of_their_archives_over_the_overlap(run):
    """One day of spin-up, by hand: rms of late less early over the rms error of early, to float32."""
    found = xr.load_dataset(run.layout.production("seams.nc")).isel(join=0)
    chunk = next(c for c in run.config.production.chunks("free") if not c.published)
    with store.open_archive(run.layout.chunk("free", "late", chunk.name).archive) as late:
        times, own = late["time"].values, states_of(run, late, "").astype(np.float64)
    early, truth = states(run, "free", times), run.store("test").at(times)
    unit = mean(run, (early - truth) ** 2).mean(0) ** 0.5
    relative = mean(run, (own - early) ** 2) ** 0.5 / unit
    expected = xr.DataArray(relative, {"channel": run.channels.names}, ("time", "channel"))
    np.testing.assert_allclose(found["difference"], expected.sel(channel=found["channel"].values), rtol=1e-5)


def test_the_change_at_the_join_is_ranked_among_those_of_other_days(run):
    table = pd.read_csv(run.layout.production("seams.csv"))
    assert table["join"].unique().tolist() == ["free 2001-01-04"]
    assert (table["elsewhere"] == 3).all()  # begins of windows, less the first, which nothing is before
    pair = states(run, "free", np.array([JOIN - np.timedelta64(6, "h"), JOIN]))
    row = table[table["channel"] == "z500"].iloc[0]
    change = mean(run, np.diff(pair, axis=0) ** 2)[0, run.channels.position("z500")] ** 0.5
    assert row["change_at_join"] == pytest.approx(change, rel=1e-5)


def test_a_run_without_joins_has_no_seams(run):
    values = yaml.safe_load(run.layout.config.read_text())
    values["production"]["streams"] = {}
    from lara import config

    found, table = stream_joins.measure_seams(RunWithNetworks(config.parse(values), Layout(run.layout.root)))
    assert found.attrs["n"] == 0 and table.empty


@pytest.mark.parametrize("name", ["production_rmse", "production_drift", "production_seams"])
def test_figures_of_the_report_are_drawn_and_their_arrays_kept(run, name):
    assert worlds.lara(run.layout.root, f"draw-figure --figure {name}") == 0
    assert run.layout.figure(name).stat().st_size > 10_000
    assert run.layout.figure_fields(name).exists()


@pytest.fixture
def dask_on(run, tmp_path):
    """Function: the same run with another section `dask`."""

    def make(**section):
        values = yaml.safe_load(run.layout.config.read_text())
        values["dask"] = section
        copy = worlds.copied(run, tmp_path / section["scheduler"], values)
        data = copy.layout.root / "data"
        parts = [part.resolve() for part in data.iterdir()]
        data.unlink()
        data.mkdir()
        for part in parts:  # statistics are written again
            (data / part.name).symlink_to(part)
        return copy

    return make


def computed(run):
    """Scores, monthly means and statistics, made anew."""
    files = [run.layout.scores("free"), run.layout.monthly_means("free")]
    for path in files:
        path.unlink(missing_ok=True)
    for words in ("score-experiment --experiment free", "average-months --experiment free", "compute-statistics"):
        assert worlds.lara(run.layout.root, words) == 0, words
    return [xr.load_dataset(path) for path in files], run.layout.statistics.read_bytes()


def test_a_cluster_that_runs_already_gives_the_bytes_of_threads(dask_on):
    """Scores, monthly means and statistics; parts are computed alone and added in one order."""
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None) as cluster:
        sections = [
            {"scheduler": "threads", "workers": 2},
            {"scheduler": "distributed", "address": cluster.scheduler_address},
        ]
        (threads, statistics), (distributed, others) = [computed(dask_on(**section)) for section in sections]
    assert all(one.identical(other) for one, other in zip(threads, distributed, strict=True))
    assert statistics == others


@pytest.mark.slow
def test_a_cluster_of_the_job_gives_the_bytes_of_threads(dask_on):
    """Processes of their own, to which archive and run are sent."""
    sections = [{"scheduler": "threads", "workers": 2}, {"scheduler": "distributed", "workers": 2}]
    found = []
    for section in sections:
        run = dask_on(**section)
        assert worlds.lara(run.layout.root, "average-months --experiment free") == 0
        found.append(xr.load_dataset(run.layout.monthly_means("free")))
    assert found[0].identical(found[1])


def test_monthly_means_are_means_with_bounds_and_counts(run):
    """Of all times by hand, to float32; in plain xarray, with the version they were made from."""
    assert worlds.lara(run.layout.root, "average-months --experiment free") == 0
    archive = run.layout.archive("free")
    with xr.open_dataset(run.layout.monthly_means("free")) as found, store.open_archive(archive) as analyses:
        assert found["time"].values.tolist() == [np.datetime64("2001-01-01", "ns").astype(int)]
        assert found["count"].values.tolist() == [20]
        assert found.attrs["archive"] == store.version_of(archive)
        for name in ("geopotential", "2m_temperature"):
            expected = analyses[name].values.astype(np.float64).mean(0).astype(np.float32)
            np.testing.assert_array_equal(found[name].values[0], expected)
