"""Attention windows on the sphere and patches of a grid: who may see whom, and nothing lost on the way."""

import pytest
import torch

from lara.networks.attention import Block, Position, WindowAttention, blocks
from lara.networks.patches import patchify, unpatchify
from lara.networks.shape import Shape

pytestmark = pytest.mark.usefixtures("float64")

WIDTH, HEADS, COLUMNS = 8, 2, 12
LAYOUTS = [  # rows, window, shifted: windows that fit, that leave a remainder, and that are larger than the grid
    (8, (4, 4), False),
    (8, (4, 4), True),
    (6, (4, 4), False),
    (6, (4, 4), True),
    (7, (3, 6), True),
    (3, (5, 4), False),
    (3, (5, 4), True),
    (8, (2, 12), True),
]


def window_of(rows, window, shifted):
    """Number (row, column) of the window that holds each token, from the definition; circles wrap, poles do not."""
    south, west = (window[0] // 2, window[1] // 2) if shifted else (0, 0)
    south = 0 if window[0] >= rows else south
    row = (torch.arange(rows) + south) // window[0]
    column = ((torch.arange(COLUMNS) - west) % COLUMNS) // window[1]
    return torch.stack([row[:, None].expand(-1, COLUMNS), column.expand(rows, -1)], -1).flatten(0, 1)


def reference(attention, x, together):
    """softmax(q kᵀ / √d) v, token by token, over the tokens that are `together` (t, t)."""
    b, h, w, d = x.shape
    q, k, v = attention.query_key_value(x.flatten(1, 2)).unflatten(-1, (3, HEADS, d // HEADS)).unbind(2)
    scores = torch.einsum("bihd,bjhd->bhij", q, k) / (d // HEADS) ** 0.5
    share = scores.masked_fill(~together, -torch.inf).softmax(-1)
    return attention.out(torch.einsum("bhij,bjhd->bihd", share, v).flatten(2)).reshape(b, h, w, d)


@pytest.mark.parametrize(("rows", "window", "shifted"), LAYOUTS)
def test_a_token_attends_to_its_window_and_to_no_padding(rows, window, shifted):
    """Equal to attention written out over the tokens of the same window, to float64 rounding of ~50 terms."""
    attention = WindowAttention(WIDTH, HEADS, window, shifted)
    x = torch.randn(2, rows, COLUMNS, WIDTH)
    number = window_of(rows, window, shifted)
    together = (number[:, None] == number[None]).all(-1)
    torch.testing.assert_close(attention(x), reference(attention, x, together), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("rows", "window", "shifted"), LAYOUTS)
def test_a_block_is_periodic_in_longitude(rows, window, shifted):
    """Rolling the input by whole windows rolls the output: the circle has no edge. Rounding only."""
    block = Block(WIDTH, HEADS, 2.0, window, shifted)
    x = torch.randn(2, rows, COLUMNS, WIDTH)
    for count in range(1, COLUMNS // window[1] + 1):
        rolled = block(x.roll(count * window[1], dims=2))
        torch.testing.assert_close(rolled, block(x).roll(count * window[1], dims=2), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("row", [0, 7])
def test_nothing_leaks_over_the_poles(row, shifted):
    """A change in a polar row changes exactly the rows of its window: bitwise nothing at the other pole, where a shift
    by a roll would bring it."""
    block = Block(WIDTH, HEADS, 2.0, (4, 4), shifted)
    x = torch.randn(1, 8, COLUMNS, WIDTH)
    changed = x.clone()
    changed[:, row] += torch.randn(COLUMNS, WIDTH)
    touched = (block(changed) != block(x)).any(-1).any(2)[0]
    number = window_of(8, (4, 4), shifted).reshape(8, COLUMNS, 2)[:, 0, 0]
    assert touched.tolist() == (number == number[row]).tolist()


def test_shifted_windows_join_the_two_sides_of_the_date_line():
    """The first column reaches the last in a shifted block and not in an unshifted one."""
    x = torch.randn(1, 4, COLUMNS, WIDTH)
    changed = x.clone()
    changed[:, :, 0] += torch.randn(4, WIDTH)
    reached = [
        bool((block(changed) != block(x))[:, :, -1].any())
        for block in (Block(WIDTH, HEADS, 2.0, (4, 4), shifted) for shifted in (False, True))
    ]
    assert reached == [False, True]


def test_blocks_take_the_windows_in_turn_and_shift_every_second_round():
    """Two windows, five blocks: a b a' b' a."""
    chain = blocks(5, WIDTH, HEADS, 2.0, [(4, 4), (2, 6)])
    found = [(block.attention[1].window, block.attention[1].shift) for block in chain]
    a, b = (4, 4), (2, 6)
    assert found == [(a, (0, 0)), (b, (0, 0)), (a, (2, 2)), (b, (1, 3)), (a, (0, 0))]


def test_two_blocks_connect_every_neighbour():
    """After an unshifted and a shifted block no window edge is left that information has not crossed."""
    chain = blocks(2, WIDTH, HEADS, 2.0, [(4, 4)])
    x = torch.randn(1, 8, COLUMNS, WIDTH)
    for edge in (3, 7, 11):
        changed = x.clone()
        changed[:, 3, edge] += torch.randn(WIDTH)
        touched = (chain(changed) != chain(x)).any(-1)[0]
        assert touched[3, (edge + 1) % COLUMNS]
        assert touched[4, edge]


def test_a_token_is_told_its_latitude_and_its_place():
    """Output − input is the learnt vector plus the map of (sin φ, cos φ), the same for any input."""
    latitude = torch.tensor([60.0, 0.0, -30.0])
    position = Position(latitude, 4, WIDTH).double()
    x = torch.randn(2, 3, 4, WIDTH)
    phi = torch.deg2rad(latitude)
    latitudes = torch.stack([phi.sin(), phi.cos()], -1) @ position.from_latitude.weight.T + position.from_latitude.bias
    expected = x + position.place + latitudes[None, :, None]
    torch.testing.assert_close(position(x), expected, rtol=0, atol=1e-6)  # φ is kept in float32


@pytest.mark.parametrize("patch", [1, 2, 4])
def test_unpatchify_undoes_patchify(patch):
    """A permutation of values: exact."""
    field = torch.randn(2, 3, 8, 12)
    assert torch.equal(unpatchify(patchify(field, patch), patch), field)


def test_a_token_holds_its_patch_channel_by_channel():
    """The order that channel weights repeated patch² times rely on."""
    field = torch.randn(2, 3, 8, 12)
    assert torch.equal(patchify(field, 4)[:, 1, 2], field[:, :, 4:8, 8:12].reshape(2, -1))


def shape(**changes):
    """A small shape with some fields changed."""
    fields = {"channels": 3, "latitude": (60.0, 20.0, -20.0, -60.0), "longitudes": 8, "patch": 2, "width": WIDTH}
    return Shape(**{**fields, "heads": HEADS, "mlp_ratio": 2.0, "windows": ((2, 4),), **changes})


def test_tokens_lie_at_the_mean_latitude_of_their_rows():
    """(60 + 20) / 2 and its mirror."""
    assert shape().token_latitude().tolist() == [40.0, -40.0]
    assert shape().tokens == (2, 4)


@pytest.mark.parametrize(("changes", "named"), [({"longitudes": 9}, "9 longitudes"), ({"patch": 4}, None)])
def test_a_patch_that_does_not_divide_the_grid_is_refused(changes, named):
    """Named with the remedy; a patch that divides is not."""
    if named is None:
        assert shape(**changes).tokens == (1, 2)
        return
    with pytest.raises(ValueError, match=f"{named} do not divide by patch 2: choose"):
        shape(**changes)
