"""Time of a run from a probe: jobs side by side by hand, and the warning of a long one."""

import pytest

import worlds
from lara import config
from lara.stages.benchmarks import probe
from lara.stages.benchmarks.estimate import Estimate


def test_jobs_side_by_side_take_the_time_of_the_busiest_core():
    """3, 3, 2, 2 h on two cores: 5 h; on one 10 h; on four the longest; none takes none."""
    assert probe.side_by_side([2, 3, 2, 3], 2) == 5
    assert probe.side_by_side([2, 3, 2, 3], 1) == 10
    assert probe.side_by_side([2, 3, 2, 3], 4) == 3
    assert probe.side_by_side([], 2) == 0


def test_networks_wait_for_data_and_analyses_for_networks():
    """Data 2 and 2 h, trainings 3 and 1 h, an analysis of 1 h on two cores: 2 + 3 + 1 h, and a share for all others."""
    hours = {"generate-dataset-a": 2, "generate-dataset-b": 2, "train-autoencoder-main": 3, "train-forecaster": 1}
    jobs = [Estimate(job, 1.0, hours=taken) for job, taken in (hours | {"cycle-experiment-l4dvar": 1}).items()]
    assert probe.hours_in_all(jobs, 2) == pytest.approx(6 * probe.OTHER_JOBS)


@pytest.fixture
def told(monkeypatch, tmp_path):
    """What is told of a run whose training takes so many hours; downloads have none."""
    config.write(config.parse(worlds.VALUES), tmp_path / "config.yaml")

    def of(hours, data=0.1):
        jobs = [Estimate("train-forecaster", 1.0, hours=hours), Estimate("generate-dataset-a", 1.0, hours=data)]
        monkeypatch.setattr(probe, "probe", lambda chosen: jobs)
        return probe.told(tmp_path / "config.yaml", 2)

    return of


def test_a_run_of_over_an_hour_is_warned_of_with_the_remedy(told):
    """config/tiny.yaml and fewer steps; a short run is told without."""
    assert "config/tiny.yaml" in told(2.0)
    assert "training.phases" in told(2.0)
    assert "tiny" not in told(0.1)
    assert f"about {60 * 0.2 * probe.OTHER_JOBS:.0f} minutes" in told(0.1)


def test_downloads_are_said_to_be_left_out(told):
    """They wait in a queue, which no probe sees."""
    assert "downloads are not in this" in told(0.1, None)
    assert "downloads" not in told(0.1)


def test_every_job_of_the_default_target_is_timed_in_both_precisions(monkeypatch):
    """Positive seconds for both networks, in float32 and bfloat16, and hours for every kind of job."""
    monkeypatch.setattr(probe, "SECONDS", 0.01)
    chosen = config.parse(worlds.VALUES)
    steps = probe.step_times(chosen)
    assert steps.groupby("network")["precision"].apply(set).tolist() == [set(probe.PRECISIONS)] * 2
    assert (steps["s_per_step"] > 0).all()
    jobs = probe.probe(chosen)
    assert all(job.hours > 0 for job in jobs)
    assert {job.kind for job in jobs} == set(probe.PROBED)
