"""Errors: one family, and helpful neighbours."""

import asr.errors
from asr.errors import AsrError, did_you_mean, nearest


def test_every_error_is_an_asr_error():
    kinds = [v for v in vars(asr.errors).values() if isinstance(v, type) and issubclass(v, Exception)]
    assert len(kinds) > 5
    assert all(issubclass(kind, AsrError) for kind in kinds)


def test_nearest_names_come_best_first_and_ignore_case():
    assert nearest("SEVN", ["six", "seven", "eleven"], count=2) == ["seven", "eleven"]
    assert nearest("mfc", iter(["fbank", "MFCC"])) == ["MFCC"]
    assert nearest("xyz", ["seven"]) == []
    assert nearest("seven", []) == []


def test_did_you_mean():
    assert did_you_mean("mfc", ["fbank", "mfcc"]) == "; did you mean 'mfcc'?"
    assert did_you_mean("xyz", ["fbank", "mfcc"]) == ""
