"""Attention windows on the sphere and patches of a grid: who may see whom, and nothing lost on the way."""

import pytest
import torch
from torch.nn import functional

from lara.networks.attention import Block, Position, WindowAttention, blocks
from lara.networks.patches import overlap_add, patchify, unpatchify, windows
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
    (8, (4, 5), False),  # longitudes that the window does not divide
    (7, (3, 5), True),
    (3, (5, 7), True),
    (8, (4, 24), True),
]
ON_THE_CIRCLE = [layout for layout in LAYOUTS if COLUMNS % layout[1][1] == 0 or layout[1][1] > COLUMNS]


def window_of(rows, window, shifted, columns=COLUMNS):
    """Number (row, column) of the window that holds each token, from the definition; circles wrap, poles do not."""
    south = window[0] // 2 if shifted and window[0] < rows else 0
    west = window[1] // 2 if shifted and window[1] < columns else 0
    row = (torch.arange(rows) + south) // window[0]
    column = ((torch.arange(columns) - west) % columns) // window[1]
    return torch.stack([row[:, None].expand(-1, columns), column.expand(rows, -1)], -1).flatten(0, 1)


def together_in(number):
    """Pairs of tokens (t, t) in the same window."""
    return (number[:, None] == number[None]).all(-1)


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
    together = together_in(window_of(rows, window, shifted))
    torch.testing.assert_close(attention(x), reference(attention, x, together), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("window", [(24, 24), (12, 48), (48, 12)], ids=str)
def test_the_windows_of_the_paper_hold_on_its_grid(window, shifted):
    """32 × 64 tokens, which none of Fan et al.'s windows divides: the definition, rounding of sums of up to 576."""
    attention = WindowAttention(WIDTH, HEADS, window, shifted)
    x = torch.randn(1, 32, 64, WIDTH)
    together = together_in(window_of(32, window, shifted, columns=64))
    torch.testing.assert_close(attention(x), reference(attention, x, together), rtol=0, atol=1e-13)


@pytest.mark.parametrize(("rows", "window", "shifted"), LAYOUTS)
def test_the_values_of_padding_reach_no_token(rows, window, shifted, monkeypatch):
    """Padded with a thousand instead of zero: bitwise the same output."""
    block = Block(WIDTH, HEADS, 2.0, window, shifted)
    x = torch.randn(2, rows, COLUMNS, WIDTH)
    expected, pad = block(x), functional.pad

    def pad_with_a_thousand(tensor, widths):
        return pad(tensor, widths, value=1000.0 if tensor.is_floating_point() else 0)

    monkeypatch.setattr(functional, "pad", pad_with_a_thousand)
    assert torch.equal(block(x), expected)


def test_windows_that_fill_the_grid_need_no_mask(monkeypatch):
    """Where nothing is padded attention takes its fast path."""
    masks, attend = [], functional.scaled_dot_product_attention

    def watched(q, k, v, attn_mask):
        masks.append(attn_mask)
        return attend(q, k, v, attn_mask=attn_mask)

    monkeypatch.setattr(functional, "scaled_dot_product_attention", watched)
    for window in ((4, 4), (8, 12), (4, 5)):
        Block(WIDTH, HEADS, 2.0, window, False)(torch.randn(1, 8, COLUMNS, WIDTH))
    assert [mask is None for mask in masks] == [True, True, False]


@pytest.mark.parametrize(("rows", "window", "shifted"), ON_THE_CIRCLE)
def test_a_block_is_periodic_in_longitude(rows, window, shifted):
    """Rolling the input by whole windows rolls the output, by anything where the window is the whole circle: the circle
    has no edge. Rounding only."""
    block = Block(WIDTH, HEADS, 2.0, window, shifted)
    x = torch.randn(2, rows, COLUMNS, WIDTH)
    for step in range(0, COLUMNS, window[1] if window[1] < COLUMNS else 5):
        rolled = block(x.roll(step, dims=2))
        torch.testing.assert_close(rolled, block(x).roll(step, dims=2), rtol=0, atol=1e-13)


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


@pytest.mark.parametrize("halo", [0, 1, 2, 5])
def test_overlap_add_is_the_adjoint_of_windows(halo):
    """⟨W x, t⟩ = ⟨x, Wᵀ t⟩ to float64 rounding: every point a window holds is written back where it was read."""
    field = torch.randn(2, 3, 8, 12)
    seen = windows(field, 4, halo)
    tokens = torch.randn_like(seen)
    assert seen.shape[-1] == shape(patch=4, halo=halo).window
    assert float((seen * tokens).sum()) == pytest.approx(float((field * overlap_add(tokens, 4, halo)).sum()), rel=1e-11)


def test_windows_without_a_halo_are_the_patches():
    """The same values in the same order, and the same inverse: exact."""
    field = torch.randn(2, 3, 8, 12)
    assert torch.equal(windows(field, 4, 0), patchify(field, 4))
    assert torch.equal(overlap_add(windows(field, 4, 0), 4, 0), field)


def test_a_window_wraps_in_longitude_and_is_empty_beyond_the_poles():
    """Around the first patch of the first row: the last columns to its west, zeros to its north."""
    field = torch.randn(1, 3, 8, 12)
    window = windows(field, 4, 2)[0, 0, 0].reshape(3, 8, 8)
    assert torch.equal(window[:, 2:, :2], field[0, :, :6, -2:])
    assert torch.equal(window[:, 2:, 2:], field[0, :, :6, :6])
    assert not window[:, :2].any()


def test_windows_are_periodic_in_longitude():
    """A field rolled by a patch gives tokens rolled by one, and back: exact."""
    field = torch.randn(1, 3, 8, 12)
    rolled = windows(field.roll(4, dims=3), 4, 2)
    assert torch.equal(rolled, windows(field, 4, 2).roll(1, dims=2))
    assert torch.equal(overlap_add(rolled, 4, 2), overlap_add(windows(field, 4, 2), 4, 2).roll(4, dims=3))


def shape(**changes):
    """A small shape with some fields changed."""
    fields = {"channels": 3, "latitude": (60.0, 20.0, -20.0, -60.0), "longitudes": 8, "patch": 2, "halo": 1}
    return Shape(**{**fields, "width": WIDTH, "heads": HEADS, "mlp_ratio": 2.0, "windows": ((2, 4),), **changes})


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
