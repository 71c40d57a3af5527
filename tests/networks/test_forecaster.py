"""The forecaster starts at persistence and is one map, repeated."""

import pytest
import torch

from lara.forecaster import Forecaster
from shapes import SHAPE

SCALE = torch.tensor([0.5, 1.0, 2.0])


def forecaster(trained=True):
    """A forecaster of two blocks; `trained` fills its last layer with random numbers."""
    module = Forecaster(SHAPE, 2, SCALE)
    if trained:
        torch.nn.init.normal_(module.leave.weight, std=0.1)
    return module


def test_an_untrained_forecaster_is_persistence_exactly():
    """Its last layer is zero, and x + 0 = x to the bit."""
    x = torch.randn(2, 3, 8, 16)
    assert torch.equal(forecaster(trained=False)(x), x)


def test_a_rollout_is_the_step_repeated():
    """The same operations in the same order: to the bit."""
    module, x = forecaster(), torch.randn(2, 3, 8, 16)
    states = module.rollout(x, 3)
    for k in range(3):
        x = module(x)
        assert torch.equal(states[:, k], x)
    assert not torch.equal(states[:, 0], states[:, 2])


def test_the_tendency_is_in_units_of_one_step_changes():
    """Twice the scale of a channel, twice its predicted change, and nothing else; exact in powers of two."""
    module, x = forecaster(), torch.randn(1, 3, 8, 16)
    before = module(torch.zeros_like(x))
    module.tendency_scale[1] *= 2
    after = module(torch.zeros_like(x))
    assert torch.equal(after[:, 1], 2 * before[:, 1])
    assert torch.equal(after[:, [0, 2]], before[:, [0, 2]])


def test_a_sample_does_not_depend_on_the_others_of_its_batch():
    """Alone or among others, to float32 rounding of another order of summation."""
    module, x = forecaster(), torch.randn(4, 3, 8, 16)
    torch.testing.assert_close(module(x)[2:3], module(x[2:3]), rtol=0, atol=1e-5)


def test_gradients_reach_every_parameter_through_a_rollout():
    """None is idle once the last layer is not zero."""
    module = forecaster()
    module.rollout(torch.randn(1, 3, 8, 16), 2).square().mean().backward()
    idle = [name for name, p in module.named_parameters() if not (p.grad.isfinite().all() and p.grad.any())]
    assert idle == []


@pytest.mark.parametrize("position", [0, 8, 15])
def test_the_two_sides_of_the_date_line_are_one_neighbourhood(position):
    """Two blocks carry a change to the next patch east, over the date line too."""
    module, x = forecaster(), torch.randn(1, 3, 8, 16)
    changed = x.clone()
    changed[..., position] += 1.0
    east = (position // 4 * 4 + 4) % 16
    assert (module(changed) - module(x))[..., east : east + 4].abs().max() > 0
