"""The problems shared with other packages have the stated answers, and the runners speak to whatever is installed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import lara
from lara.figures import files
from lara.peers import cycling, ours
from lara.peers.problems import LinearGaussian, Twin, circulant, interpolation, lorenz96, lorenz96_tendency
from lara.stages.benchmarks import peers

SCRIPTS = Path(lara.__file__).parent / "peers"


@pytest.fixture(scope="module")
def peer_python():
    """An interpreter with the peers: that of LARA_PEERS, or of any run that has made one, or this one."""
    made = sorted(Path(lara.__file__).parents[2].glob("results/*/benchmarks/peers-env/bin/python"))
    named = [os.environ["LARA_PEERS"]] if "LARA_PEERS" in os.environ else []
    for python in [*named, *map(str, made), sys.executable]:
        if not subprocess.run([python, "-c", "import adao, dapper"], capture_output=True).returncode:
            return python
    pytest.skip("adao and dapper are not installed: run snakemake peers, or name a Python that has them in LARA_PEERS")


@pytest.mark.parametrize("slots", [0, 6])
def test_a_gain_matrix_and_a_sum_of_squares_have_the_same_minimum(slots):
    """x* solves (B⁻¹ + Gᵀ R⁻¹ G) (x − x_b) = Gᵀ R⁻¹ d, the other form of the same estimate; to the condition of B."""
    problem = LinearGaussian.random(64, slots)
    composed, precision = problem.composed(), problem.error_std**-2
    hessian = np.linalg.inv(problem.covariance) + precision * composed.T @ composed
    right = precision * composed.T @ (problem.value.ravel() - composed @ problem.background)
    assert problem.error(problem.background + np.linalg.solve(hessian, right)) < 1e-8


@pytest.mark.parametrize("slots", [0, 6])
@pytest.mark.parametrize("method", ours.METHODS)
@pytest.mark.parametrize("factor", ours.FACTORS)
def test_our_analysis_is_the_analytic_one(slots, method, factor):
    """To 1e-6 of the increment: the gradient is reduced to 1e-8, the condition number is below 100."""
    problem = LinearGaussian.random(64, slots)
    analysis, _ = ours.solve(problem, factor, method, 1e-8)
    assert problem.error(analysis) < 1e-6


def test_the_window_of_a_4dvar_problem_leaves_its_first_slot_unobserved():
    problem = LinearGaussian.random(16, 3)
    assert (problem.first, problem.slots, problem.value.shape) == (1, 4, (3, 4))
    np.testing.assert_allclose(problem.composed()[:4], problem.operator @ problem.step, atol=1e-14)


def test_background_errors_have_unit_variance_and_their_spectrum():
    """Eigenvalues of a circulant matrix are its transfer function, each twice but the ends; float64 rounding."""
    problem = LinearGaussian.random(32, 0)
    np.testing.assert_allclose(np.diag(problem.covariance), 1.0, rtol=1e-12)
    twice = np.sort(np.concatenate([problem.spectrum, problem.spectrum[1:-1]]))
    np.testing.assert_allclose(np.linalg.eigvalsh(problem.covariance), twice, rtol=1e-8)


def test_the_model_shifts_a_wave_by_its_courant_number():
    """exp(−iκc) moves cos κx by c points; diffusion off."""
    wavenumber, points = 2 * np.pi * np.fft.rfftfreq(16), np.arange(16)
    moved = circulant(np.exp(-1.5j * wavenumber)) @ np.cos(wavenumber[3] * points)
    np.testing.assert_allclose(moved, np.cos(wavenumber[3] * (points - 1.5)), atol=1e-12)


def test_interpolation_is_exact_on_a_line_and_closes_the_circle():
    np.testing.assert_allclose(interpolation(np.array([2.25, 6.5]), 8) @ np.arange(8.0), [2.25, 6.5])
    np.testing.assert_allclose(interpolation(np.array([7.5]), 8) @ np.arange(8.0), [3.5])


def test_lorenz96_is_an_independent_runge_kutta_step():
    """Index by index in numpy, with the textbook tableau; float64 rounding."""
    x, n, dt = Twin.random(50, seed=3).truth[-1], 40, 0.05

    def tendency(x):
        return np.array([(x[(i + 1) % n] - x[i - 2]) * x[i - 1] - x[i] + 8 for i in range(n)])

    a = tendency(x)
    b = tendency(x + dt * a / 2)
    c = tendency(x + dt * b / 2)
    d = tendency(x + dt * c)
    expected = x + dt * (a / 6 + b / 3 + c / 3 + d / 6)
    np.testing.assert_allclose(lorenz96(torch.from_numpy(x)).numpy(), expected, rtol=1e-13)


def test_lorenz96_conserves_energy_without_forcing_and_damping():
    """d(½ Σ x²)/dt = Σ x dx/dt = 0 whatever x; float64 rounding of 40 terms of size 1e3."""
    x = torch.from_numpy(Twin.random(50, seed=3).truth[-1])
    assert abs(float((x * lorenz96_tendency(x, forcing=0.0, damping=0.0)).sum())) < 1e-9
    assert float((x * lorenz96_tendency(x)).sum()) != 0


def test_members_of_a_batch_are_cycled_as_if_alone():
    """Each σ_b has its own descent; rounding grows by chaos over 12 steps only, 1e-6 is far above it."""
    twin, std = Twin.random(12, seed=1), torch.tensor([0.2, 0.6], dtype=torch.float64)
    together = cycling.assimilate_lorenz96(twin, std, 4)
    alone = cycling.assimilate_lorenz96(twin, std[1:], 4)
    np.testing.assert_allclose(together.filtered[:, 1], alone.filtered[:, 0], rtol=1e-6)
    assert together.last.tolist() == [4, 8, 12] and together.first.tolist() == [1, 5, 9]


def test_overlapping_windows_use_each_observation_once():
    """With a first guess that knows nothing of the truth, a datum used twice would draw the analysis twice as far."""
    twin, std = Twin.random(16, seed=1), torch.tensor([0.3], dtype=torch.float64)
    found = cycling.assimilate_lorenz96(twin, std, 8, 4)
    assert found.last.tolist() == [8, 12, 16] and np.isfinite(found.filtered).all()


@pytest.fixture
def linear_gaussian_table(monkeypatch):
    """One size of both problems, with a stand-in for the peer's numbers."""
    monkeypatch.setattr(peers, "REPEATS", 1)
    monkeypatch.setattr(peers, "_adao", lambda environment, problem: {"none": ours.measure(problem, *FIRST, 1e-6, 1)})
    return pd.concat([peers._compare_one(Path(), 16, slots) for slots in (0, 6)], ignore_index=True)


FIRST = (next(iter(ours.FACTORS)), next(iter(ours.METHODS)))


def test_every_column_of_the_linear_gaussian_table_has_values_and_is_drawn(linear_gaussian_table):
    assert not linear_gaussian_table.isna().any(axis=None)
    assert set(linear_gaussian_table["package"]) == {"lara", "adao"}
    figure = files()["linear_gaussian"].draw(linear_gaussian_table.assign(goal=1e-6))
    assert [axes.get_title() for axes in figure.axes] == ["3D-Var, n = 16, p = 4", "4D-Var, n = 16, p = 24"]


def test_every_column_of_the_lorenz96_table_has_values_and_is_drawn(monkeypatch):
    """What a filter has not (a smoother's RMSE, a stated one) is empty, as are the settings of other packages."""
    for name, value in (("STEPS", 24), ("SPIN_UP", 6), ("TUNING_STEPS", 24)):
        monkeypatch.setattr(peers, name, value)
    errors = {"a/filtered": np.ones(24), "a/smoothed": np.ones(24), "b/filtered": np.ones(24)}
    timing = {"seconds": 1.0, "processor": 1.0}
    theirs = [peers._dapper_row("a", timing | {"stated": 0.2}, errors)]
    theirs += [peers._dapper_row("b", timing | {"stated": None}, errors)]
    table = pd.DataFrame([peers._our_row(Twin.random(24, seed=2), 4, 0), *theirs])
    assert (
        not table[["package", "method", "filter_rmse", "seconds", "processor_seconds", "times"]].isna().any(axis=None)
    )
    assert table["times"].tolist() == [2, 2, 2]
    assert len(files()["lorenz96"].draw(table).axes) == 2


def test_the_adao_runner_reaches_the_same_answer(peer_python, tmp_path):
    problem = LinearGaussian.random(32, 3)
    problem.save(tmp_path / "problem.npz")
    command = [
        peer_python,
        SCRIPTS / "adao_runner.py",
        tmp_path / "problem.npz",
        tmp_path / "out.json",
        "--repeats",
        "1",
    ]
    subprocess.run(command, check=True, capture_output=True)
    measured = json.loads((tmp_path / "out.json").read_text())
    assert len(measured) == 3
    assert all(problem.error(np.array(found["analysis"])) < 1e-5 for found in measured.values())


def test_the_dapper_runner_observes_the_lorenz96_that_we_step(peer_python, tmp_path):
    """Both step RK4 in float64; one step of 0.05 apart only by rounding."""
    files = [tmp_path / name for name in ("twin.npz", "errors.npz", "timings.json")]
    command = [peer_python, SCRIPTS / "dapper_runner.py", "100", *files, "--methods", "Var3D"]
    subprocess.run(command, check=True, capture_output=True)
    twin = Twin.load(files[0])
    stepped = lorenz96(torch.from_numpy(twin.truth[:-1])).numpy()
    np.testing.assert_allclose(stepped, twin.truth[1:], atol=1e-10)
    assert twin.value.shape == (100, 40) and 0.9 < (twin.value - twin.truth[1:]).std() < 1.1
    assert json.loads(files[2].read_text())["Var3D"]["seconds"] > 0
    with np.load(files[1]) as errors:
        assert errors["Var3D/filtered"].shape == (100,)
