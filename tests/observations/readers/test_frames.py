"""The walk along a BUFR file: every message found, everything else refused with its byte."""

from itertools import pairwise

import pytest

from bufr_messages import counted, message, size
from damage import DAMAGES
from lara.observations.readers import frames

HEADING = b"\x01\r\r\nIUSN01 KWBC 311500\r\r\n"
NAMES = ["ADPUPA_486008", "gdas.t12z.adpsfc", "gdas.t12z.sfcshp", "gdas.t12z.acft_profiles"]


def test_messages_are_found_between_padding_and_headings_of_the_network():
    one, two = message(), message(bytes(9), subsets=3, category=2, edition=3)
    raw = HEADING + one + bytes(7) + two + b"\x1a\x34\x68\xd1"
    walked = frames.walk(raw)
    assert [raw[frame.offset : frame.end] for frame in walked] == [one, two]
    assert [(frame.edition, frame.category, frame.centre, frame.subsets) for frame in walked] == [
        (4, 0, 7, 1),
        (3, 2, 7, 3),
    ]
    assert walked[0].descriptors == ("000001",)


def test_a_message_whose_values_spell_bufr_is_one_message():
    raw = message(b"BUFR7777" * 3)
    assert len(frames.walk(raw)) == 1


def test_subsets_that_say_their_length_are_walked_too():
    assert frames.walk(counted(10, 33, 5))[0].subsets == 3
    raw = bytearray(counted(10, 33, 5))
    second = raw.index(size(33, 2) + b"\x55")
    for length in (0, 2, 34, 200):
        raw[second : second + 2] = size(length, 2)
        with pytest.raises(ValueError, match=r"^byte \d+: subset|bytes after the last subset"):
            frames.walk(bytes(raw))


@pytest.mark.parametrize("keep", range(1, len(message())))
def test_a_file_cut_anywhere_within_a_message_is_refused_with_a_byte(keep):
    """Of 8 bytes or fewer nothing tells a cut message from padding but that no message is whole."""
    raw = message()
    with pytest.raises(ValueError, match=r"^byte \d+: "):
        frames.walk(raw + raw[:keep] if keep > frames.PADDING else raw[:keep])


def test_a_cut_file_is_refused_with_the_byte_at_which_it_ends():
    raw = message() + message()
    with pytest.raises(ValueError, match=rf"^byte {len(raw) - 9}: the file ends within .* at byte {len(message())}: "):
        frames.walk(raw[:-9])


@pytest.mark.parametrize("where", [4, 5, 6, 7, 8, 9, 10, -1, -2, -3, -4])
def test_a_flipped_bit_of_a_length_an_edition_or_an_end_is_refused(where):
    raw = bytearray(message())
    raw[where] ^= 64
    with pytest.raises(ValueError, match=r"^byte \d+: "):
        frames.walk(bytes(raw))


def test_text_of_any_length_is_no_heading_where_no_message_follows():
    with pytest.raises(ValueError, match=r"^byte 0: 24 bytes hold no BUFR message"):
        frames.walk(b"METAR LOWW 010000Z 12345")
    with pytest.raises(ValueError, match=r"^byte 0: 500 bytes that are no BUFR message"):
        frames.walk(b"METAR" * 100 + message())


@pytest.mark.parametrize("name", NAMES)
def test_real_files_are_walked_to_their_last_message(shared_data, name):
    path = shared_data / "observations" / "prepbufr" / f"{name}.prepbufr"
    raw = path.read_bytes()
    walked = frames.walk(raw)
    assert frames.is_ncep(walked) and 0 <= len(raw) - walked[-1].end <= frames.PADDING
    assert all(one.end <= two.offset <= one.end + frames.PADDING for one, two in pairwise(walked))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("damage", ["empty", "halved", "text", "zeroed", "a zeroed tail"])
def test_damaged_copies_of_real_files_are_refused_with_a_byte(shared_data, name, damage):
    raw = (shared_data / "observations" / "prepbufr" / f"{name}.prepbufr").read_bytes()
    with pytest.raises(ValueError, match=r"^byte \d+: "):
        frames.walk(DAMAGES[damage](raw))
