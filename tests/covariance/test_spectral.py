"""Model-space B: a square root that is linear and isotropic as promised, and an estimate that finds a known B again."""

import numpy as np
import pytest
import torch
from scipy.special import eval_legendre

from lara.covariance import spectral
from lara.covariance.harmonics import Harmonics
from lara.covariance.nmc import Pairs
from lara.covariance.spectral import SpectralCovariance
from lara.covariance.spectralcontrol import stretched
from lara.grid import Grid
from lara.state import Channels

GRID = Grid.gaussian(16, 32)
WINDY = Channels.of(["msl", "u10", "v10"], ["z", "u", "v"], [500])  # ψ500 ψ10 χ500 χ10 z500 msl
CALM = Channels.of(["msl", "t2m"], ["z", "t"], [500])  # z500 msl t500 t2m
SAMPLES = 600
SINE = np.sin(np.deg2rad(GRID.latitude))


def spectrum(widths):
    """b_k(n) ∝ exp(−(n/w)²/2) of unit variance; widths w below 5 leave nothing at the truncation 16."""
    n = np.arange(16)
    b = np.exp(-0.5 * (n / np.array(widths)[:, None]) ** 2) + 1e-9
    return 4 * np.pi * b / (b @ (2 * n + 1))[:, None]


def vertical(stds, correlation=0.6):
    """V of groups of two fields with the standard deviations `stds` (field, y) and one correlation in every group."""
    v = np.zeros((16, len(stds), len(stds)))
    for first in range(0, len(stds), 2):
        modes = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2) * np.sqrt([1 + correlation, 1 - correlation])
        v[:, first : first + 2, first : first + 2] = stds[first : first + 2].T[:, :, None] * modes
    return v


def covariance(channels, operator, v, b):
    return SpectralCovariance(channels, GRID, operator, v, b, np.zeros((len(channels), 16)), np.zeros(0, "M8[ns]"))


def windy():
    """Mass owes f ψ/2 to the streamfunction of its level and has a variance of its own that varies with latitude."""
    stds = np.array([3.0, 2.0, 1.5, 1.0, 0, 0])[:, None] * np.ones(16)
    stds[4:] = np.array([120.0, 100.0])[:, None] * (1 + 0.5 * SINE**2)
    b = spectrum([3.0, 4.0, 3.0, 4.0, 2.5, 4.5])
    b[:4, 0] = 1e-9  # wind has no n = 0
    b *= 4 * np.pi / (b @ (2 * np.arange(16) + 1))[:, None]
    operator = np.broadcast_to(np.eye(6), (16, 6, 6)).copy()
    operator[:, [4, 5], [0, 1]] = 1.458e-4 / 2 * SINE[:, None]
    return covariance(WINDY, operator, vertical(stds), b)


def calm():
    stds = np.array([200.0, 150.0, 1.5, 1.0])[:, None] * (1 + 0.3 * SINE)
    return covariance(CALM, np.broadcast_to(np.eye(4), (16, 4, 4)), vertical(stds), spectrum([2.5, 3.5, 3.0, 3.5]))


KNOWN = {"with wind": windy, "without wind": calm}


@pytest.fixture(params=KNOWN)
def known(request):
    return KNOWN[request.param]()


def root(control):
    """The matrix of B^½, one column for each χ, (state, χ)."""
    start = control.zeros(1)
    unit = torch.eye(start[0].numel(), dtype=start.dtype).reshape(-1, *start.shape[1:])
    return torch.cat([control.apply(part).flatten(1) for part in unit.split(512)]).T


def variance(control):
    return root(control).square().sum(1).reshape(-1, *GRID.shape).numpy()


def drawn(control, count, batch=100):
    """Pairs whose differences are draws of the control."""
    generator = torch.Generator().manual_seed(3)
    for first in range(0, count, batch):
        zeros = control.zeros(batch)
        difference = control.apply(torch.randn(zeros.shape, dtype=zeros.dtype, generator=generator))
        times = np.datetime64("2001-01-01", "ns") + np.timedelta64(6, "h") * np.arange(first, first + batch)
        yield Pairs(torch.zeros_like(difference), difference, times)


def product(a, b):
    return float((a * b).sum().detach())


@pytest.fixture(scope="module")
def found():
    """B estimated from samples of the known B with wind."""
    return spectral.estimate(drawn(windy().control(torch.float64), SAMPLES), GRID, WINDY)


def test_the_adjoint_of_the_root_is_autograds(known):
    """⟨B^½ χ, y⟩ = ⟨χ, B^{½ᵀ} y⟩ for random χ, y, and B symmetric: ⟨a, B c⟩ = ⟨c, B a⟩. Rounding of float64."""
    control = known.control(torch.float64)
    chi = torch.randn_like(control.zeros(2)).requires_grad_(True)
    a, c = torch.randn(2, 2, len(known.channels), *GRID.shape, dtype=torch.float64)
    forward = control.apply(chi)
    back_a, back_c = (torch.autograd.grad(forward, chi, y, retain_graph=True)[0] for y in (a, c))
    assert product(forward, a) == pytest.approx(product(chi, back_a), rel=1e-11)
    assert product(a, control.apply(back_c)) == pytest.approx(product(c, control.apply(back_a)), rel=1e-11)


def test_the_root_is_differentiable_twice(known):
    """The derivative of y ↦ B^{½ᵀ} y along χ is B^½ χ, as Gauss-Newton products take it. Rounding."""
    control = known.control(torch.float64)
    chi = torch.zeros_like(control.zeros(1)).requires_grad_(True)
    y = torch.zeros(1, len(known.channels), *GRID.shape, dtype=torch.float64, requires_grad=True)
    (transpose,) = torch.autograd.grad(control.apply(chi), chi, y, create_graph=True)
    direction = torch.randn_like(chi)
    (product,) = torch.autograd.grad(transpose, y, direction)
    torch.testing.assert_close(product, control.apply(direction), rtol=1e-11, atol=1e-11)


def test_entries_that_are_no_harmonic_do_nothing(known):
    """N² = 256 entries of the 512 of each mode move the state; m > n and the imaginary part of m = 0 change nothing."""
    moved = root(known.control(torch.float64)).abs().amax(0).reshape(-1, 16, 16, 2) > 0
    n, m = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    assert torch.equal(moved[-1, ..., 0], torch.from_numpy(m <= n))
    assert torch.equal(moved[-1, ..., 1], torch.from_numpy((m <= n) & (m > 0)))


def test_variances_are_those_of_the_vertical_covariance():
    """Without wind and balance diag B = diag V Vᵀ = Σ² on every row and the same at all longitudes. Rounding."""
    known = calm()
    expected = np.broadcast_to((known.std**2)[known.fields.order][:, :, None], (4, *GRID.shape))
    np.testing.assert_allclose(variance(known.control(torch.float64)), expected, rtol=1e-10)


def test_correlations_are_isotropic_with_the_given_spectrum():
    """One mode of variance 1: B between two places γ apart is Σ (2n + 1) b(n) P_n(cos γ) / 4π (addition theorem),
    across the pole and round the globe alike. Rounding."""
    b = spectrum([4.0])
    one = covariance(Channels.of(["msl"], [], []), np.ones((16, 1, 1)), np.ones((16, 1, 1)), b)
    matrix = root(one.control(torch.float64))
    from_one = (matrix @ matrix[2 * 32 + 5]).reshape(GRID.shape).numpy()
    latitude, longitude = np.meshgrid(np.deg2rad(GRID.latitude), np.deg2rad(GRID.longitude), indexing="ij")
    centre = latitude[2, 5], longitude[2, 5]
    cosine = np.sin(latitude) * np.sin(centre[0])
    cosine += np.cos(latitude) * np.cos(centre[0]) * np.cos(longitude - centre[1])
    expected = sum((2 * n + 1) * b[0, n] * eval_legendre(n, cosine) for n in range(16)) / (4 * np.pi)
    np.testing.assert_allclose(from_one, expected, atol=1e-11)


def test_scale_multiplies_the_covariance(known):
    """Scale 4 doubles B^½ χ exactly, for one member and not for its neighbour."""
    control = known.control(torch.float64)
    scaled = control.with_factors(torch.tensor([4.0, 1.0]), torch.ones(1))
    chi = torch.randn_like(control.zeros(2))
    factor = torch.tensor([2.0, 1.0], dtype=torch.float64)[:, None, None, None]
    torch.testing.assert_close(scaled.apply(chi), factor * control.apply(chi), rtol=1e-12, atol=0)


def test_length_stretches_correlations_and_keeps_variances():
    """b ∝ exp(−(n/w)²/2) at factor L is the spectrum of w/L: length scale times L to 2 % (L = 0.8, 1.25; sums over n
    instead of integrals), variances of the state to rounding; L = 1 changes nothing."""
    known = calm()
    control = known.control(torch.float64)
    for factor in (0.8, 1.0, 1.25):
        changed = control.with_factors(torch.ones(1), torch.tensor([factor]))
        np.testing.assert_allclose(variance(changed), variance(control), rtol=1e-9)
        lengths = spectral.length_scale(stretched(control.spectrum, torch.tensor([factor]).double())[0].numpy())
        np.testing.assert_allclose(lengths, factor * known.lengths, rtol=0.02)
    same = stretched(control.spectrum, torch.ones(1).double())[0]
    torch.testing.assert_close(same, control.spectrum, rtol=1e-12, atol=0)


def test_wind_keeps_its_variance_under_length():
    """(−∇²)^½ψ has the energy of the wind: area-mean variances of u and v stay, to rounding, where those of a
    covariance of ψ would fall by L⁻² = 0.64."""
    control, area = windy().control(torch.float64), GRID.area_weights
    longer = control.with_factors(torch.ones(1), torch.tensor([1.25]))
    kinetic = [(variance(c)[[1, 2, 4, 5]] * area).mean((1, 2)) for c in (control, longer)]
    np.testing.assert_allclose(kinetic[1], kinetic[0], rtol=1e-6)


def test_members_have_their_own_factors_and_can_be_selected(known):
    """A batch of three factors is three controls one by one; selecting members selects factors; a control common to
    all is itself. Equal to rounding, as a batch may sum in another order."""
    control = known.control(torch.float64)
    scale, length = torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.8, 1.0, 1.3])
    many, chi = control.with_factors(scale, length), torch.randn_like(control.zeros(3))
    alone = [control.with_factors(scale[i : i + 1], length[i : i + 1]).apply(chi[i : i + 1]) for i in range(3)]
    torch.testing.assert_close(many.apply(chi), torch.cat(alone), rtol=1e-11, atol=1e-11)
    members = torch.tensor([2, 0])
    torch.testing.assert_close(many.select(members).apply(chi[members]), torch.cat([alone[2], alone[0]]))
    assert control.select(members) is control
    half = control.with_factors(scale, torch.ones(1)).select(members)
    assert (half.scale.tolist(), half.length.tolist()) == ([3.0, 1.0], [1.0])


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan")])
def test_factors_that_make_no_covariance_are_refused(factor):
    """Zero, negative or not finite: the name and the value are said."""
    with pytest.raises(ValueError, match="background error length must be a vector of positive finite factors"):
        calm().control().with_factors(torch.ones(1), torch.tensor([factor]))


def test_single_precision_agrees_with_double(known):
    """float32 by default, within 1e-5 of the largest increment of each channel."""
    single, double = known.control(), known.control(torch.float64)
    chi = torch.randn_like(double.zeros(1))
    expected = double.apply(chi)
    assert single.apply(chi.float()).dtype == torch.float32
    error = (single.apply(chi.float()) - expected).abs().amax((0, 2, 3)) / expected.abs().amax((0, 2, 3))
    assert float(error.max()) < 1e-5


def test_the_estimate_gives_back_the_variances_of_its_samples(found):
    """diag B of the estimate against that of the known B, channel by channel and row by row. A row's variance from 600
    samples of 4 or more independent longitudes has relative error √(2/2400) = 0.03; 4 of them among 96, and 0.02 for
    the average with rows nearby."""
    ratio = variance(found.control(torch.float64)).mean(2) / variance(windy().control(torch.float64)).mean(2)
    np.testing.assert_allclose(ratio, 1.0, atol=4 * 0.03 + 0.02)
    np.testing.assert_allclose(ratio.mean(1), 1.0, atol=0.05)


def test_the_estimate_finds_the_balance(found):
    """R(φ) = f/2 of the ψ of its own level and 0 of the others, in units of σ_z/σ_ψ within 4 standard errors 1/√2400
    (600 samples of 4 independent longitudes) and mostly better; explained 1 − σ_r²/σ_z² within 4 of 0.77/√2400."""
    known, members = windy(), windy().fields
    matrix = root(known.control(torch.float64)).T.reshape(-1, 6, *GRID.shape)
    size = members.of(matrix, Harmonics.of(GRID)).square().sum(0).mean(2).sqrt().T.numpy()
    error = (found.operator - known.operator)[:, 4:, :4] * size[:, None, :4] / size[:, 4:, None]
    assert np.abs(error).max() < 4 / np.sqrt(2400) / np.sqrt(1 - 0.6**2)  # levels correlate by 0.6
    assert np.abs(error).mean() < 0.03
    expected = 1 - (known.std / size.T)[4:] ** 2
    np.testing.assert_allclose(found.explained[4:], expected, atol=4 * 0.77 / np.sqrt(2400))
    assert np.abs(found.explained[:4]).max() < 0.03


def test_the_estimate_finds_spectra_and_lengths_of_every_mode(found):
    """b(n) from 600 samples of 2n + 1 harmonics: relative error √(2/(600 (2n + 1))), 4 of them for n = 1 … 8 plus 0.05
    for the projection of fields whose size varies; length scales, which weigh all of them, to 5 %."""
    known, n = windy(), np.arange(1, 9)
    error = np.abs(found.spectrum / known.spectrum - 1)[:, 1:9]
    assert np.all(error < 4 * np.sqrt(2 / (SAMPLES * (2 * n + 1))) + 0.05)
    np.testing.assert_allclose(found.lengths, known.lengths, rtol=0.05)


def test_the_estimate_works_without_wind():
    """Variances of the calm B again, tolerance as above: mass and temperature alone make a B."""
    known = calm()
    found = spectral.estimate(drawn(known.control(torch.float64), 300), GRID, CALM)
    ratio = variance(found.control(torch.float64)).mean(2) / variance(known.control(torch.float64)).mean(2)
    np.testing.assert_allclose(ratio, 1.0, atol=4 * 0.045 + 0.02)
    assert list(found.fields.groups) == ["mass", "temperature"]
    assert len(found.valid) == 300


def test_every_wavenumber_has_variance_even_where_samples_have_none():
    """Differences without harmonics above n = 3 still give b(n) > 0, of which all together add less than 1e-4."""
    narrow = covariance(CALM, np.broadcast_to(np.eye(4), (16, 4, 4)), calm().vertical, spectrum([0.5] * 4))
    found = spectral.estimate(drawn(narrow.control(torch.float64), 100), GRID, CALM)
    assert (found.spectrum > 0).all()
    share = found.spectrum * (2 * np.arange(16) + 1) / (4 * np.pi)
    assert share[:, 8:].sum(1).max() < 1e-4


def test_arrays_restore_the_covariance_exactly(found, tmp_path):
    """Through an .npz file and back: the same B^½ χ, bit for bit."""
    np.savez(tmp_path / "b.npz", **found.arrays())
    with np.load(tmp_path / "b.npz") as file:
        again = SpectralCovariance.from_arrays(file)
    chi = torch.randn_like(found.control().zeros(1))
    assert torch.equal(again.control().apply(chi), found.control().apply(chi))
    assert (again.channels, again.grid) == (found.channels, found.grid)
    np.testing.assert_array_equal(again.valid, found.valid)


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_pairs_are_refused(count):
    """One sample is no covariance; the key to raise is named."""
    pairs = list(drawn(calm().control(torch.float64), count, batch=max(count, 1)))
    with pytest.raises(ValueError, match=f"at least 2 forecast pairs, not {count}: raise background_error.samples"):
        spectral.estimate(pairs, GRID, CALM)


def test_channels_without_differences_are_refused():
    """A channel that both forecasts share, and one that is not finite, are named with the remedy."""
    (pair,) = drawn(calm().control(torch.float64), 4, batch=4)
    pair.long[:, CALM.position("t500")] = 0.0
    pair.long[:, CALM.position("msl"), 3, 3] = float("nan")
    with pytest.raises(ValueError, match=r"differences of msl, t500 vanish along a row or are not finite: check"):
        spectral.estimate([pair], GRID, CALM)


def test_wind_of_one_component_is_refused():
    """u without v has no streamfunction; both are named."""
    channels = Channels.of(["msl"], ["u"], [500])
    pair = Pairs(torch.zeros(2, 2, *GRID.shape), torch.randn(2, 2, *GRID.shape), np.zeros(2, "M8[ns]"))
    with pytest.raises(ValueError, match=r"wind u500 has no partner v500"):
        spectral.estimate([pair], GRID, channels)
