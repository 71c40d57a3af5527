"""The sweep of latent sizes: trained, measured and cycled beside the PCA of each size, and drawn with units and n."""

import matplotlib
import pytest

import worlds
from lara.figures.networks import fig7_latent_size

SIZES = {
    "size-6": ("transformer", 6),
    "size-6-pca": ("pca", 6),
    "size-24": ("transformer", 24),
    "size-24-pca": ("pca", 24),
}


@pytest.fixture(scope="module")
def run(world, tmp_path_factory):
    """The small run with a sweep of two sizes; weights and datasets of the small run are links, the sweep's its own."""
    values = worlds.changed("sizes", {"spin_up_days": 1})
    for name, (kind, size) in SIZES.items():
        values["autoencoders"][name] = {**values["autoencoders"]["main"], "kind": kind, "latent_channels": size}
        values["experiments"][name] = {**worlds.SHORT_LATENT, "suite": "sizes", "autoencoder": name, "days": 3}
    run = worlds.copied(world, tmp_path_factory.mktemp("sizes") / "world", values)
    worlds.unlinked(run.layout.root / "models")
    for name in SIZES:
        for words in (f"{do}-autoencoder --autoencoder {name}" for do in ("train", "measure", "score")):
            assert worlds.lara(run.layout.root, words) == 0, words
        assert worlds.lara(run.layout.root, f"estimate-background-error --space {name}") == 0
        for do in ("cycle", "score"):
            assert worlds.lara(run.layout.root, f"{do}-experiment --experiment {name}") == 0
    return run


def test_a_larger_latent_space_loses_less(run):
    """By far more than four training steps can change: 16- and 4-fold compression."""
    table = fig7_latent_size.gather(run).set_index("autoencoder")
    assert table["compression"].to_dict() == {"size-6": 16.0, "size-6-pca": 16.0, "size-24": 4.0, "size-24-pca": 4.0}
    assert (table.loc[["size-24", "size-24-pca"], "error"] < 0.8 * table.loc["size-6", "error"]).all()
    assert (table["off_diagonal"] > 0).all()
    assert (table["low"] <= table["rmse"]).all() and (table["rmse"] <= table["high"]).all()
    assert (table["n"] == 8).all()  # two days after the spin-up


def test_the_sweep_is_drawn_with_both_kinds_and_n(run):
    figure = fig7_latent_size.draw(fig7_latent_size.gather(run))
    words = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert "analysis RMSE (m² s⁻²)" in words
    assert "PCA of the same size" in words
    assert "n = 8 times" in words


def test_the_sweep_is_no_part_of_the_default_run(run):
    assert run.config.default_autoencoders == ["main", "pca"]
