"""Streams in the configuration: cut at months or days, tiling the period, refused where cuts do not fit."""

from datetime import datetime

import pytest

import worlds
from lara.config import ConfigError, Stream, parse

ONE = {"begin": "2001-01-02", "end": "2001-01-07"}


def refused(streams, **experiment):
    """The message that streams of `l4dvar` are refused with."""
    values = worlds.changed("production", {"streams": {"l4dvar": streams}})
    values["experiments"]["l4dvar"].update(experiment)
    with pytest.raises(ConfigError) as fault:
        parse(values)
    return str(fault.value)


def days(stream):
    return [(cut.month, cut.day) for cut in stream.cuts]


def test_a_stream_is_cut_at_calendar_months_and_where_publication_begins():
    stream = Stream(begin=datetime(2001, 2, 10), end=datetime(2001, 4, 15), spin_up_days=20)
    assert days(stream) == [(1, 21), (2, 1), (2, 10), (3, 1), (4, 1), (4, 15)]


def test_a_stream_is_cut_every_so_many_days_before_and_after_publication_begins():
    stream = Stream(begin=datetime(2001, 2, 10), end=datetime(2001, 2, 20), spin_up_days=7, chunk_days=4)
    assert days(stream) == [(2, 3), (2, 7), (2, 10), (2, 14), (2, 18), (2, 20)]


def test_chunks_follow_one_another_within_a_stream_alone():
    """The first of each stream goes on from nothing; spin-up is not published."""
    late = {"begin": "2001-01-05", "end": "2001-01-07", "spin_up_days": 1}
    streams = {"early": {"begin": "2001-01-02", "end": "2001-01-05", "chunk_days": 2}, "late": late}
    production = parse(worlds.changed("production", {"streams": {"l4dvar": streams}})).production
    found = [(chunk.name, chunk.before, chunk.published) for chunk in production.chunks("l4dvar")]
    assert found == [
        ("20010102T00", None, True),
        ("20010104T00", "20010102T00", True),
        ("20010104T00", None, False),
        ("20010105T00", "20010104T00", True),
    ]
    assert production.chunks("free") == []


@pytest.mark.parametrize(
    ("streams", "experiment", "words"),
    [
        ({}, {}, ["production.streams.l4dvar", "names no stream"]),
        ({"a": {**ONE, "end": "2001-01-06"}}, {}, ["2001-01-06", "2001-01-07", "days"]),
        ({"a": {**ONE, "end": "2001-01-01"}}, {}, ["move the end"]),
        ({"a": ONE, "b": {"begin": "2001-01-08", "end": "2001-01-09"}}, {}, ["b.begin", "tile"]),
        ({"a": {**ONE, "spin_up_days": 1}}, {}, ["a.spin_up_days 1", "datasets.test", "shorten"]),
        ({"a": {**ONE, "chunk_days": 3}}, {"slots": 10}, ["within a window of 60 h", "chunk_days"]),
        ({"a": {**ONE, "chunk_days": 1}}, {"slots": 1, "slot_hours": 24}, ["fewer than two times", "chunk_days"]),
    ],
)
def test_streams_that_do_not_fit_are_refused_with_key_and_remedy(streams, experiment, words):
    line = refused(streams, **experiment)
    for word in words:
        assert word in line


def test_streams_of_no_experiment_are_refused():
    with pytest.raises(ConfigError, match=r"production\.streams\.l5dvar.*not one of the experiments"):
        parse(worlds.changed("production", {"streams": {"l5dvar": {"a": ONE}}}))
