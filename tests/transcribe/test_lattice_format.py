"""`--format lattice`: what a model hears, read back as a lattice."""

import pytest

import asr
from asr.cli.common import sample_recording
from asr.lattice import WordLattice, read_lattices
from asr.transcribe.writing import FORMATS


def test_the_lattice_of_a_transcript_is_read_back_with_its_words_and_score(tmp_path):
    model = asr.load("digits").with_alternatives(lattice=True)
    found = model.transcribe(sample_recording())
    written = FORMATS["lattice"]("sample")
    text = written.add(found, 0.0, found.seconds) + written.end()
    (tmp_path / "lat.txt").write_text(text, encoding="utf-8")
    ((name, lattice),) = read_lattices(tmp_path / "lat.txt", words=model.lexicon.words)
    (best,) = WordLattice.of(lattice.rescale(acoustic=model.decoding.acoustic_scale)).nbest(1)
    assert name == "sample" and model.text(best.words) == found.text
    assert best.score == pytest.approx(found.score, abs=0.01)
    assert (best.labels == found.alignment).all()
