"""Recordings that are unlike what a model is for are told from those that it is for."""

import json

import numpy as np
import pytest

from asr.errors import ModelError
from asr.model.fit import Evidence, Reference, evidence
from asr.model.transcript import TimedWord, Transcript, joined, shifted


def reference_of(n: int = 400) -> tuple[list[Evidence], Reference]:
    rng = np.random.default_rng(0)
    found = [Evidence(-90 + 3 * rng.standard_normal(), -abs(1 + 0.5 * rng.standard_normal()), 40) for _ in range(n)]
    reference = Reference.of(found)
    assert reference is not None
    return found, reference


def test_evidence_is_of_the_frames_in_which_something_is_said():
    loglikes = np.array([[-1, -5], [-4, -2], [-7, -3], [0, -9]], np.float32)
    columns, says = np.array([0, 0, 1, 0]), np.array([False, True, True, False])
    assert evidence(loglikes, columns, says) == Evidence(likelihood=-2.5, margin=-1.0, n_frames=2)
    assert evidence(loglikes, columns, np.zeros(4, bool)) is None


def test_recordings_of_its_kind_fit_and_others_do_not():
    found, reference = reference_of()
    share = np.mean([reference.fits(e) for e in found])
    assert 0.95 <= share <= 0.97  # 24 in 25
    assert not reference.fits(Evidence(-110, -1, 40)) and not reference.fits(Evidence(-96, -4, 40))
    assert reference.fits(Evidence(-80, 0, 40)) and reference.fits(None)
    assert reference.fits(Evidence(-93.5, -1.5, 20)) and not reference.fits(
        Evidence(-93.5, -1.5, 400)
    )  # a long one tells more
    assert Reference.of(found[:19]) is None


def test_a_reference_is_kept_in_json_and_damage_is_said():
    _, reference = reference_of()
    assert Reference.from_json(json.loads(json.dumps(reference.to_json()))) == reference
    good = reference.to_json()
    for bad in (
        5,
        [],
        {"least": 1},
        good | {"margin": "x"},
        good | {"margin_deviation": 0},
        good | {"n_frames": -1},
        good | {"least": 1e999},
    ):
        with pytest.raises(ModelError, match="reference"):
            Reference.from_json(bad)


def test_a_room_that_shifts_all_of_a_long_recording_is_no_other_kind_of_speech():
    """Of 2000 frames the mean hardly strays by itself; what a room does to it stays, the words' margins are right."""
    _, reference = reference_of()
    a_room = Evidence(reference.likelihood - 0.4 * reference.likelihood_deviation, reference.margin, 2000)
    other_words = a_room._replace(margin=reference.margin - 1.5 * reference.margin_deviation)
    assert reference.fits(a_room) and not reference.fits(other_words)
    assert reference.clearly_differs(Evidence(-110, -4, 400)) and not reference.clearly_differs(a_room)


def piece(start: float, n_frames: int, *, fits: bool) -> Transcript:
    unlike = () if fits else ((0.0, 0.4),)
    words = (TimedWord("one", 0.0, 0.4),)
    found = Transcript("one", words, evidence=Evidence(-90, -1, n_frames), fits=fits, unlike=unlike)
    return shifted(found, start)


def test_a_long_recording_fits_where_most_of_what_is_spoken_does():
    pieces = [piece(0, 300, fits=True), piece(20, 40, fits=False), Transcript(""), piece(50, 40, fits=False)]
    assert joined(pieces).fits and joined(pieces).unlike == ((20.0, 20.4), (50.0, 50.4))
    assert not joined([piece(0, 300, fits=False), piece(20, 40, fits=True), piece(30, 40, fits=True)]).fits
    assert joined([Transcript(""), Transcript("")]).fits
