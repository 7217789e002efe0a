"""What a model is made of: kinds follow from its parts, and another kind is one more class."""

from dataclasses import replace

import numpy as np
import pytest

from asr.ctc import CtcTokens
from asr.errors import ModelError
from asr.model import directory, load
from asr.model.adaptation import SpeakerAdaptation
from asr.model.units import UNITS, CtcUnits, HmmUnits


def test_the_kinds_that_model_json_may_have():
    assert list(directory.kinds()) == ["gmm-hmm", "gmm-hmm-fmllr", "dnn-hmm", "dnn-hmm-fmllr", "ctc"]


def test_another_kind_is_one_class(digits_model, tmp_path, monkeypatch):
    class Segmental(HmmUnits):
        acoustics = ("gmm",)

        @classmethod
        def kind(cls, acoustic):
            return f"{acoustic}-segmental"

    units = Segmental(digits_model.hmms.transitions, digits_model.hmms.tree)
    saved = replace(digits_model, units=units).save(tmp_path / "model")
    with pytest.raises(ModelError, match="kind 'gmm-segmental'; this version of asr knows 'gmm-hmm'"):
        load(saved)
    monkeypatch.setattr(directory, "UNITS", (*UNITS, Segmental))
    again = load(saved)
    assert isinstance(again.units, Segmental) and again.kind == "gmm-segmental" and again.streaming


def test_an_adapting_model_is_saved_with_both_of_its_gaussians(digits_model, sample, tmp_path):
    gmms = digits_model.acoustic
    adapting = replace(digits_model, adaptation=SpeakerAdaptation(gmms, gmms))
    again = load(adapting.save(tmp_path / "model"))
    assert (again.kind, again.streaming) == ("gmm-hmm-fmllr", False)
    assert again.adaptation.gmms is again.acoustic and not (tmp_path / "model" / "adapter.npz").exists()
    np.testing.assert_array_equal(again.first_pass.means, gmms.means)
    assert again.transcribe(sample) == adapting.transcribe(sample) and again.transcribe(sample).transform == "offset"


def test_ctc_has_no_hmms():
    units = CtcUnits(CtcTokens(3))
    with pytest.raises(ModelError, match="has no HMMs"):
        _ = units.hmms
    assert (units.n_labels, units.n_pdfs, units.pdf_of_label.tolist()) == (4, 4, [-1, 0, 1, 2, 3])
