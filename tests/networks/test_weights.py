"""Weights on disk: read back as written, and refused with a reason when they are for something else."""

import pytest
import torch
from torch import nn

from lara.networks import weights
from lara.networks.weights import WeightsError

DESCRIPTION = {"channels": ["msl", "z500"], "grid": {"kind": "gaussian", "latitudes": 8}, "network": {"width": 8}}


class Net(nn.Module):
    """Parameters, a buffer that is kept and one that is not."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.register_buffer("scale", torch.rand(2))
        self.register_buffer("latitude", torch.rand(2), persistent=False)


@pytest.fixture
def saved(tmp_path):
    """A network and the file it was saved to."""
    net, path = Net(), tmp_path / "models" / "weights.safetensors"
    weights.save(net, path, DESCRIPTION)
    return net, path


def test_weights_come_back_as_they_were(saved):
    """Every parameter and buffer, to the bit; a tuple in a description equals the list it becomes."""
    net, path = saved
    other = Net()
    weights.load(other, path, {**DESCRIPTION, "channels": ("msl", "z500")})
    for key, value in net.state_dict().items():
        assert torch.equal(other.state_dict()[key], value)


def test_the_same_weights_make_the_same_file(saved, tmp_path):
    """Byte for byte, so that digests in provenance identify weights."""
    net, path = saved
    weights.save(net, tmp_path / "again.safetensors", DESCRIPTION)
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_weights_of_another_channel_set_are_refused_naming_both(saved):
    """Shapes could agree by chance and the result be nonsense."""
    _, path = saved
    with pytest.raises(WeightsError) as caught:
        weights.load(Net(), path, {**DESCRIPTION, "channels": ["msl", "z850"]})
    message = str(caught.value)
    assert all(part in message for part in (str(path), "channels", "z500", "z850", "train again")), message
    assert "\n" not in message


@pytest.mark.parametrize("key", ["grid", "network", "extra"])
def test_weights_of_another_grid_or_size_are_refused(saved, key):
    """Any difference of the descriptions counts, an absent key too."""
    _, path = saved
    with pytest.raises(WeightsError, match=f"were made for {key}"):
        weights.load(Net(), path, {**DESCRIPTION, key: {"kind": "another"}})


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused_with_the_remedy(saved, share):
    """Cut within the header, within the data, or to nothing."""
    _, path = saved
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(WeightsError, match="cannot be read") as caught:
        weights.load(Net(), path, DESCRIPTION)
    assert str(path) in str(caught.value)
    assert "run the training rule" in str(caught.value)


def test_absent_weights_are_refused_with_the_remedy(tmp_path):
    """The path and the rule to run."""
    with pytest.raises(WeightsError, match=r"absent\.safetensors do not exist: run the training rule"):
        weights.load(Net(), tmp_path / "absent.safetensors", DESCRIPTION)


def test_a_refused_file_leaves_the_network_alone(saved):
    """Half-loaded weights would be worse than none."""
    _, path = saved
    other = Net()
    before = {key: value.clone() for key, value in other.state_dict().items()}
    with pytest.raises(WeightsError):
        weights.load(other, path, {**DESCRIPTION, "network": {}})
    assert all(torch.equal(other.state_dict()[key], value) for key, value in before.items())


def test_a_save_that_fails_leaves_the_old_weights(saved, monkeypatch):
    """They are written beside and renamed."""
    _, path = saved
    content = path.read_bytes()

    def full(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OSError, match="no space"):
        weights.save(Net(), path, DESCRIPTION)
    assert path.read_bytes() == content
