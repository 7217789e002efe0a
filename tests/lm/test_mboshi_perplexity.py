"""Perplexities of real transcripts beside those of KenLM and nltk.

The references come from KenLM's lmplz --discount_fallback with its Python module, and from nltk's Witten-Bell smoothing
above the uniform distribution, of the same texts: see record_references.py. They are Mboshi's 4,616 training and 514
dev transcripts; ends of sentences count, unknown words do not.
"""

import pytest

from asr.lm import count, estimate, letters

# units, order -> KenLM with modified Kneser-Ney smoothing, nltk with Witten-Bell smoothing
REFERENCES = {
    ("words", 2): (122.0889, 128.2539),
    ("words", 3): (111.1287, 124.5263),
    ("words", 4): (109.8652, 128.5447),
    ("words", 5): (109.8013, 130.2719),
    ("letters", 2): (10.1032, 10.1103),
    ("letters", 3): (6.4829, 6.4781),
    ("letters", 4): (5.0938, 5.1864),
    ("letters", 5): (4.5410, 4.8480),
    ("phones", 2): (11.8752, 11.8668),  # letters without the boundaries of words
    ("phones", 3): (8.5204, 8.5119),
    ("phones", 4): (6.7939, 7.0150),
    ("phones", 5): (6.0210, 6.7146),
}
SMOOTHINGS = ("modified-kneser-ney", "witten-bell")


@pytest.fixture(scope="module")
def transcripts(real_data):
    """The texts of a part of Mboshi, in the order of their files' names."""
    if not (real_data / "mboshi" / "train").is_dir():
        pytest.skip("no mboshi under ASR_TEST_DATA")

    def read(part):
        files = sorted((real_data / "mboshi" / part).glob("*.mb.cleaned"))
        return [file.read_text(encoding="utf-8").strip() for file in files]

    return {part: read(part) for part in ("train", "dev")}


def in_units(texts, units):
    """The texts as sequences of words, of letters, or of letters without boundaries."""
    if units == "words":
        return [text.split() for text in texts]
    return [letters(text, boundary="|" if units == "letters" else None) for text in texts]


@pytest.mark.parametrize("units", ["words", "letters", "phones"])
def test_perplexities_are_those_of_others(transcripts, units):
    train, dev = (in_units(transcripts[part], units) for part in ("train", "dev"))
    for order in (2, 3, 4, 5):
        counts = count(train, order)
        for smoothing, expected in zip(SMOOTHINGS, REFERENCES[units, order], strict=True):
            found = estimate(counts, smoothing).perplexity(dev)
            # KenLM puts the last n-gram of each order in another class of counts: up to 0.03 % where there are few.
            assert found.total() == pytest.approx(expected, rel=5e-4), (order, smoothing)
            assert found.oov_rate == pytest.approx(0.1724 if units == "words" else 0.0, abs=1e-4)
