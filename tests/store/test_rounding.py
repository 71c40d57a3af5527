"""Rounding of archived variables: the bound that is stated holds, and the archive says what was done."""

import numpy as np
import pytest
import xarray as xr

import worlds
from lara import store
from lara.config import ConfigError, parse
from lara.grid import Grid
from lara.state import Channels
from lara.store.rounding import bitround, worst_error

GRID, CHANNELS = Grid.gaussian(8, 16), Channels.of(["msl"], ["z", "t"], [500, 850])
TIMES = np.datetime64("2000-02-27", "ns") + np.arange(8) * np.timedelta64(6, "h")


@pytest.mark.parametrize("keepbits", [1, 7, 12, 22])
def test_the_relative_error_is_within_its_bound_and_comes_near_it(keepbits):
    """Signs and magnitudes of all kinds; among 10⁵ values some are nearly half way between two that can be kept."""
    rng = np.random.default_rng(0)
    values = (rng.standard_normal(100_000) * 10.0 ** rng.uniform(-30, 30, 100_000)).astype(np.float32)
    error = np.abs(bitround(values, keepbits).astype(np.float64) / values - 1).max()
    assert 0.5 * worst_error(keepbits) < error <= worst_error(keepbits)


def test_ties_go_to_the_even_neighbour_and_all_bits_change_nothing():
    """With one bit kept, 1.25 and 1.75 lie half way between 1, 1.5 and 2."""
    values = np.array([1.25, 1.75, -1.25, 0.0], np.float32)
    assert bitround(values, 1).tolist() == [1.0, 2.0, -1.0, 0.0]
    assert bitround(values, 23) is values and worst_error(23) == 0.0


def test_a_rounded_archive_states_its_error_and_is_smaller(tmp_path):
    """Geopotential with 8 bits: off by at most 2⁻⁹ of itself; temperature to the bit; digests over what is kept."""
    states = (1e4 + 300 * np.random.default_rng(0).standard_normal((8, 5, 8, 16))).astype(np.float32)
    sizes = {}
    for name, attributes in (("all", {}), ("rounded", {"keepbits": {"z": 8}})):
        path = tmp_path / f"{name}.zarr"
        store.create_archive(path, GRID, CHANNELS, TIMES, attributes)
        for first in (0, 3):  # blocks that rewrite a shard: rounding twice is rounding once
            store.write_archive(path, first, analysis=states[first : first + 5], background=states[first : first + 5])
        store.seal_archive(path)
        assert store.verify_archive(path) == []
        sizes[name] = sum(file.stat().st_size for file in (path / "geopotential").glob("c.*"))
    with xr.open_zarr(tmp_path / "rounded.zarr") as found:
        assert found["geopotential"].attrs["quantization_nsb"] == 8
        bound = found["geopotential"].attrs["quantization_maximum_relative_error"]
        error = np.abs(found["geopotential"].values / states[:, 1:3].astype(np.float64) - 1).max()
        assert bound == 2.0**-9 and 0 < error <= bound
        assert np.array_equal(found["temperature"].values, states[:, 3:])
        assert "quantization" not in found["temperature"].attrs
    assert sizes["rounded"] < 0.5 * sizes["all"]


def test_an_experiment_writes_its_archive_with_the_bits_configured(world, tmp_path):
    """And its parts are linked into one archive with the same bits."""
    values = worlds.changed("archive", {"keepbits": {"z": 10}})
    values["production"] = {"streams": {"free": {"only": {"begin": "2001-01-02", "end": "2001-01-07"}}}}
    run = worlds.copied(world, tmp_path / "w", values)
    assert worlds.lara(run.layout.root, "cycle-chunk --chunk free/only/20010102T00") == 0
    assert worlds.lara(run.layout.root, "seal-archive --experiment free") == 0
    with store.open_archive(run.layout.archive("free")) as found:
        values = found["geopotential_background"].values
        assert np.array_equal(values, bitround(values, 10)) and found.attrs["keepbits"] == '{"z": 10}'


def test_bits_of_what_is_no_variable_are_refused():
    with pytest.raises(ConfigError, match=r"keepbits.*'w' is not a variable"):
        parse(worlds.changed("archive", {"keepbits": {"w": 9}}))
