"""Which beam is chosen."""

import pytest

from asr.errors import ModelError
from asr.train.beams import BeamPoint, beams_table, chosen_beam


def point(beam, errors, seconds):
    return BeamPoint(beam, errors, 1000, seconds, 1.0, 100.0)


POINTS = [point(6, 300, 1), point(8, 205, 2), point(10, 200, 4), point(13, 198, 9), point(16, 200, 19)]


def test_the_narrowest_beam_is_chosen_that_loses_hardly_anything():
    assert chosen_beam(POINTS).beam == 10
    assert chosen_beam(POINTS, loss=0.03).beam == 8
    assert chosen_beam(POINTS[:1]).beam == 6


def test_only_beams_of_the_wanted_speed_are_chosen():
    """Real-time factors: 0.02, 0.03, 0.05, 0.1, 0.2."""
    assert chosen_beam(POINTS, 0.04).beam == 8
    assert chosen_beam(POINTS, 0.1).beam == 13  # with 10 there are 1 % more errors
    assert chosen_beam(POINTS, 0.02).beam == 6
    with pytest.raises(ModelError, match=r"the fastest, 6, takes 0\.02 s"):
        chosen_beam(POINTS, 0.01)


def test_the_table_marks_the_chosen_beam():
    lines = beams_table(POINTS, POINTS[2]).splitlines()
    assert len(lines) == 6 and [line.endswith("chosen") for line in lines] == [False, False, False, True, False, False]
    assert lines[3].split()[:5] == ["10", "20.00", "200", "0.0500", "20.0"]
