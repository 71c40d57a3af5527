"""Scores, summary and figures of the small run, by hand from what it left."""

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import worlds
from lara import figures, store
from lara.figures.analyses import analysis_maps
from lara.observations import table as tables
from lara.stages.benchmarks import job_costs
from lara.stages.run import time
from lara.stages.verification import forecast_scores
from lara.stages.verification.summary import summarise_symptoms
from lara.stages.writing import write_dataset
from lara.verification import regions
from repository import REPOSITORY

EXPERIMENTS = ["l4dvar", "l3dvar", "pca", "free", "autoencoder-only"]
DEFAULT_FIGURES = [name for name, file in figures.files().items() if file.TARGET == "all"]


@pytest.fixture(scope="module")
def run(cycled):
    """The small run with every experiment of the default suite cycled and scored."""
    for name in EXPERIMENTS:
        run = cycled(name)
        for words in ("score-experiment", "measure-structure"):
            assert worlds.lara(run.layout.root, f"{words} --experiment {name}") == 0
    assert worlds.lara(run.layout.root, "measure-controls") == 0
    assert run.config.suite("reanalysis") == EXPERIMENTS
    return run


def health(run, name):
    return pd.read_parquet(run.layout.health(name))


@pytest.fixture(scope="module")
def summary(run):
    """The summary of the run, and with it the scores of the forecasts."""
    for words in ("score-forecasts", "summarise"):
        assert worlds.lara(run.layout.root, words) == 0
    return json.loads(run.layout.summary.read_text(), parse_constant=pytest.fail)


def test_the_summary_collects_every_experiment_and_network(run, summary):
    """Machine-readable, and its numbers are those of the scores."""
    assert set(summary["experiments"]) == set(EXPERIMENTS)
    assert set(summary["autoencoders"]) == {"main", "pca"}
    assert summary["autoencoders"]["main"]["compression"] == 8.0
    assert summary["forecasts"]["rmse"]["perfect start"]["z500"]["0 d"] == 0.0
    for name in EXPERIMENTS:
        finished = globe(run, name)
        assert len(finished) == 2 * len(run.channels)
        for kind in ("analysis", "background"):
            for score in ("rmse", "bias", "acc"):
                expected = finished.loc[(kind, "z500"), score]
                assert summary["experiments"][name][kind][score]["z500"] == pytest.approx(expected)
        assert summary["experiments"][name]["n"] == finished["n"].iloc[0]


def test_finished_scores_are_those_of_the_archive_after_the_spin_up(run):
    """RMSE and bias of z850 by hand from the archive and the truth; float32 fields."""
    finished = globe(run, "l4dvar").loc["analysis", :]
    archive = store.open_archive(run.layout.archive("l4dvar")).isel(time=slice(4, None))
    truth = run.store("test").at(archive["time"].values)[:, run.channels.position("z850")]
    error = archive["geopotential"].sel(level=850).values.astype(float) - truth
    area = run.grid.area_weights
    assert finished.loc["z850", "rmse"] == pytest.approx(np.sqrt((area * error**2).mean()))
    assert finished.loc["z850", "bias"] == pytest.approx((area * error).mean())
    assert finished.loc["z850", "units"] == "m2 s-2"
    assert finished.loc["z850", "n"] == len(error)


def test_months_and_quarters_of_the_local_day_make_up_the_whole(run):
    """Squares add up: by month with the number of times, by local time with equal areas. Five days are one month."""
    table = pd.read_csv(run.layout.finished_scores("l4dvar"))
    assert table["period"].unique().tolist() == ["all", "2001-01"]
    whole, month = (table[table["period"] == period].drop(columns="period") for period in ("all", "2001-01"))
    pd.testing.assert_frame_equal(whole.reset_index(drop=True), month.reset_index(drop=True))
    local = pd.read_csv(run.layout.local_time_scores("l4dvar"))
    assert local["local_time"].unique().tolist() == ["00-06", "06-12", "12-18", "18-24"]
    assert set(local["channel"]) == {"msl", "t2m"}
    assert set(local["n"]) == set(whole["n"])
    square = (local["rmse"] ** 2).groupby([local["kind"], local["channel"]]).mean()
    for key, value in square.items():
        assert value == pytest.approx(globe(run, "l4dvar").loc[key, "rmse"] ** 2)


def test_forecasts_are_scored_by_region_too(run, summary):
    """Squared errors of the three regions with their areas make up the globe's."""
    rmse = xr.load_dataset(run.layout.scores("forecasts"))["rmse"] ** 2
    area, share = run.grid.area_weights, regions.shares(run.grid.latitude, run.grid.area_weights)
    parts = [area[share.sel(region=r).values > 0].sum() * rmse.sel(region=r) for r in list(regions.BOUNDS)[1:]]
    np.testing.assert_allclose(sum(parts) / area.sum(), rmse.sel(region="globe"), rtol=1e-6, atol=1e-9)


def test_the_summary_names_the_symptoms_of_an_archive_that_has_been_tampered_with(run, tmp_path):
    """5 K more at 850 hPa in the sums of scores: e + 5, e² + 10 e + 25."""
    bent = worlds.copied(run, tmp_path / "world")
    sums = xr.load_dataset(bent.layout.scores("l4dvar"))
    warm = xr.DataArray([5.0 if c == "t850" else 0.0 for c in run.channels.names], {"channel": run.channels.names})
    squared = sums["squared_error"] + 2 * warm * sums["error"] + warm**2
    write_dataset(sums.assign(error=sums["error"] + warm, squared_error=squared), bent.layout.scores("l4dvar"))
    found = {name: summarise_symptoms(bent, name) for name in ("l4dvar", "l3dvar")}
    assert found["l4dvar"]["biased"] == ["t850"]
    assert "t850" not in found["l3dvar"].get("biased", [])


def test_the_summary_tells_minimisations_of_windows_after_the_spin_up_alone(run, summary):
    """The first window is spin-up; controls minimise nothing and claim nothing."""
    after = health(run, "l4dvar").iloc[1:]
    found = summary["experiments"]["l4dvar"]
    assert found["two_j_over_p_mean"] == pytest.approx(after["2J/p"].mean())
    assert found["evaluations_mean"] == pytest.approx(after["evaluations"].mean())
    assert sum(found["stop_reasons"].values()) == found["windows"] == len(after)
    for control in ("free", "autoencoder-only"):
        assert not summary["experiments"][control].keys() & {"two_j_over_p_mean", "evaluations_mean", "stop_reasons"}
        assert health(run, control)["2J/p"].isna().all()


def test_gains_are_told_against_each_control_by_its_name(summary):
    """1 - RMSE / RMSE of the control, from the scores beside them; a control is not compared with itself."""
    found = summary["experiments"]
    for key, control in (("reduction_below_free", "free"), ("reduction_below_autoencoder_only", "autoencoder-only")):
        ratio = found["pca"]["analysis"]["rmse"]["t850"] / found[control]["analysis"]["rmse"]["t850"]
        assert found["pca"][key][control]["t850"] == pytest.approx(1 - ratio)
        assert found[control][key] == {}


def test_differences_from_the_reference_come_with_paired_intervals(summary):
    """The difference is that of the RMSE told beside it, and lies in its interval."""
    rmse = {name: found["analysis"]["rmse"]["z500"] for name, found in summary["experiments"].items()}
    assert set(summary["differences"]) == {f"l4dvar - {name}" for name in EXPERIMENTS if name != "l4dvar"}
    found = summary["differences"]["l4dvar - free"]["z500"]
    assert found["difference"] == pytest.approx(rmse["l4dvar"] - rmse["free"])
    assert found["low"] <= found["difference"] <= found["high"]
    assert found["n"] == summary["experiments"]["free"]["n"]


def test_withheld_observations_have_bias_and_rms_before_and_after(run, summary):
    """Of surface temperature, one level: the mean and rms of its withheld departures after the spin-up."""
    feedback = tables.read_feedback(run.layout.feedback("l4dvar"))
    begin = time(run.config.period("l4dvar")[0]) + np.timedelta64(1, "D")
    rows = feedback[feedback["withheld"] & (feedback["variable"] == "t2m") & (feedback[tables.TIME] >= begin)]
    found = summary["experiments"]["l4dvar"]["withheld"]["t2m"]
    assert found["n"] == len(rows)
    for key in ("ombg", "oman"):
        assert found[f"{key}_bias"] == pytest.approx(rows[key].mean())
        assert found[f"{key}_rms"] == pytest.approx(np.sqrt((rows[key] ** 2).mean()))


def test_no_forecast_starts_from_an_analysis_that_has_seen_later_observations(run, summary):
    """Every start is the last slot of a window after the spin-up of one day, and the file says so."""
    inits = forecast_scores.forecast_inits(run, "l4dvar")
    begin = time(run.config.period("l4dvar")[0])
    assert ((inits - begin) / np.timedelta64(1, "h") % 24 == 18).all()
    assert inits[0] == begin + np.timedelta64(42, "h")
    saved = xr.load_dataset(run.layout.scores("forecasts"))
    assert "last slot" in saved.attrs["starts"]
    assert saved.attrs["first_init"] == str(inits[0])[:16]
    assert saved.attrs["n"] == len(inits) == summary["forecasts"]["n"]


def test_forecasts_are_scored_from_the_analysis_at_their_start(run, summary):
    """RMSE at lead 0 of the source `l4dvar`: analysis less truth at the starts, by hand; float32 fields."""
    inits = forecast_scores.forecast_inits(run, "l4dvar")
    analysis = store.open_archive(run.layout.archive("l4dvar"))["geopotential"].sel(time=inits, level=500).values
    error = analysis - run.store("test").at(inits)[:, run.channels.position("z500")]
    expected = np.sqrt((run.grid.area_weights * error**2).mean())
    assert summary["forecasts"]["rmse"]["l4dvar"]["z500"]["0 d"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("name", DEFAULT_FIGURES)
def test_the_arrays_of_a_figure_are_saved_beside_it(run, summary, name):
    """One file of what is drawn, as fields or as a table."""
    assert worlds.lara(run.layout.root, f"draw-figure --figure {name}") == 0
    assert run.layout.figure(name).exists() and run.layout.figure_pdf(name).exists()
    assert run.layout.figure_fields(name).exists() != run.layout.figure_table(name).exists()


def test_the_map_shows_the_first_headline_channel(run, summary):
    """Whatever the configuration puts there."""
    assert analysis_maps.gather(run).attrs["channel"] == run.config.verification.headline[0]


def test_costs_are_of_the_jobs_of_the_default_target(run, tmp_path):
    """A benchmark file left by an experiment that is no more, or is of another target, does not count."""
    again = worlds.write_config(tmp_path, worlds.VALUES)
    for job in ("cycle-experiment-l4dvar", "cycle-experiment-removed", "cycle-experiment-4dvar", "train-forecaster"):
        again.layout.benchmark(job).parent.mkdir(exist_ok=True)
        again.layout.benchmark(job).write_text("s\tcpu_time\tmax_rss\n2.0\t1.0\t100.0\n")
    assert worlds.lara(tmp_path, "collect-benchmarks") == 0
    assert set(pd.read_csv(again.layout.costs)["job"]) == {"cycle-experiment-l4dvar", "train-forecaster"}


# what `all` does not need: files of rules, and rules by their benchmark; the page shows the costs, hence not its own
BEYOND = {"tune-experiment-{experiment}", "measure-latent-space"}
BEYOND |= {"measure-error-structure", "write-page", "forecast-states-{autoencoder}", "seal-archive-{experiment}"}
BEYOND |= {"cycle-chunk-{experiment}-{stream}-{chunk}", "report-production", "average-months-{experiment}"}
BEYOND |= {"score-forecasts-of-{experiment}", "compare-osse", "score-ensemble-{experiment}", "observe-once"}
BEYOND |= {"compare-minimisers", "compare-batches", "measure-overhead", "install-peers", "compare-linear-gaussian"}
BEYOND |= {"compare-lorenz96", "compare-loaders", "measure-ingestion", "measure-archive"}


def test_the_jobs_counted_are_those_of_the_default_target(run):
    """The benchmark file of each rule that `all` needs, its wildcard filled from the configuration."""
    config = run.config
    filled = {
        "{dataset}-{part}": [worlds.part(run, name).replace("/", "-") for name in config.datasets],
        "{dataset}-{month}": [f"{name}-{month}" for name in config.using("test") for month in config.months(name)],
        "{autoencoder}": config.autoencoders,
        "{experiment}": EXPERIMENTS,
        "{space}": ["main", "pca"],  # those of the suite's variational experiments
        "{figure}": DEFAULT_FIGURES,
    }
    folder = REPOSITORY / "workflow" / "rules"
    rules = "".join(path.read_text() for path in sorted(folder.glob("*.smk")))
    expected = set()
    for pattern in set(re.findall(r'RUN\.benchmark\("([^"]+)"\)', rules)) - BEYOND:
        kind = re.search(r"{.+}", pattern)
        names = filled[kind[0]] if kind else [""]
        expected |= {pattern.replace(kind[0], name) if kind else pattern for name in names}
    assert set(job_costs.jobs(run, DEFAULT_FIGURES)) == expected


def test_summary_and_figures_of_saved_scores_need_no_torch():
    """A job that only reads scores starts in seconds; modules loaded in a process of its own."""
    code = (
        "import sys; from lara import figures; from lara.stages.verification import summary; "
        "from lara.figures import gathering, make; figures.files(); print({'torch', 'zarr'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "set()"


def globe(run, name):
    """Finished scores of the globe by kind and channel."""
    table = pd.read_csv(run.layout.finished_scores(name))
    assert table["region"].nunique() == 4
    return table[(table["region"] == "globe") & (table["period"] == "all")].set_index(["kind", "channel"])
