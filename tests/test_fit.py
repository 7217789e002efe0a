"""Recordings that are unlike what a model is for are told from those that it is for."""

import json

import numpy as np
import pytest

from asr.errors import ModelError
from asr.model.fit import Evidence, Reference, evidence


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
    assert np.mean([reference.fits(e) for e in found]) >= 0.99
    assert not reference.fits(Evidence(-110, -1, 40)) and not reference.fits(Evidence(-96, -4, 40))
    assert reference.fits(Evidence(-80, 0, 40)) and reference.fits(None)
    assert reference.fits(Evidence(-96, -2, 20)) and not reference.fits(Evidence(-96, -2, 400))  # a long one tells more
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
