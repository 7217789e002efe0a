"""Praat's, ELAN's and CSV files of words, read back by our readers and by the standard library's."""

import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus.elan import read_elan
from asr.corpus.textgrid import read_textgrid
from asr.model.transcript import TimedWord, Transcript
from asr.transcribe.tiers import eaf, textgrid
from asr.transcribe.writing import FORMATS, HEADS

WORDS = (TimedWord('say"so"', 0.5, 0.75, 0.9), TimedWord("a&b<c>", 0.75, 1.25), TimedWord("häuser,", 3700.1234, 3700.5))


def spoken(tier):
    return [(i.start, i.end, i.text) for i in tier.intervals if i.text]


def test_a_textgrid_is_read_back_and_fills_the_recording():
    (tier,) = read_textgrid(textgrid(WORDS, 3701.0))
    assert tier.name == "words" and spoken(tier) == [(w.start, w.end, w.word) for w in WORDS]
    assert tier.intervals[0][:2] == (0.0, 0.5) and tier.intervals[-1] == (3700.5, 3701.0, "")
    assert all(a.end == b.start for a, b in zip(tier.intervals, tier.intervals[1:], strict=False))
    (silent,) = read_textgrid(textgrid([], 2.0))
    assert silent.intervals == [(0.0, 2.0, "")]


def test_an_elan_document_is_read_back_and_has_what_its_schema_asks_for():
    text = eaf(WORDS, media=Path("audio/my talk.wav"), folder=Path("out"), origin=1.5)
    (tier,) = read_elan(text.encode())
    assert [t for *_, t in spoken(tier)] == [w.word for w in WORDS]
    assert spoken(tier)[2][:2] == (3700.123, 3700.5)  # whole milliseconds
    root = ElementTree.fromstring(text.encode())
    assert [child.tag for child in root] == ["HEADER", "TIME_ORDER", "TIER", "LINGUISTIC_TYPE"]
    assert {"AUTHOR", "DATE", "FORMAT", "VERSION"} <= root.attrib.keys()
    media = root.find("HEADER/MEDIA_DESCRIPTOR").attrib
    assert media["MEDIA_URL"] == media["RELATIVE_MEDIA_URL"] == "../audio/my%20talk.wav"
    assert media["MIME_TYPE"] == "audio/x-wav" and media["TIME_ORIGIN"] == "1500"
    slots = {slot.get("TIME_SLOT_ID") for slot in root.iter("TIME_SLOT")}
    names = [item.get("ANNOTATION_ID") for item in root.iter("ALIGNABLE_ANNOTATION")]
    assert len(slots) == 6 and len(set(names)) == 3
    for item in root.iter("ALIGNABLE_ANNOTATION"):
        assert {item.get("TIME_SLOT_REF1"), item.get("TIME_SLOT_REF2")} <= slots
    types = {item.get("LINGUISTIC_TYPE_ID") for item in root.iter("LINGUISTIC_TYPE")}
    assert {tier.get("LINGUISTIC_TYPE_REF") for tier in root.iter("TIER")} <= types
    assert ElementTree.fromstring(eaf([]).encode()).find("HEADER/MEDIA_DESCRIPTOR") is None


def test_rows_of_words():
    written = FORMATS["csv"]('my "talk", 1')
    text = HEADS["csv"] + written.add(Transcript("x", WORDS), 0.0, 3701.0) + written.end()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["word"] for row in rows] == [w.word for w in WORDS]
    assert rows[0] == {
        "recording": 'my "talk", 1', "start": "0.500", "end": "0.750", "word": 'say"so"', "confidence": "0.9000"
    }  # fmt: skip
    assert rows[1]["confidence"] == ""


def test_lattices_of_pieces_have_their_times_in_their_names():
    one, two = FORMATS["lattice"]("rec"), FORMATS["lattice"]("rec")
    piece = Transcript("", lattice="0\n")
    assert one.add(piece, 0.0, 2.5) + one.end() == "rec \n0\n\n"
    text = two.add(piece, 0.0, 2.5) + two.add(piece, 2.5, 4.0) + two.end()
    assert text == "rec-000000-000250 \n0\n\nrec-000250-000400 \n0\n\n"


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Z")), min_size=1, max_size=6)


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(texts, st.integers(1, 500), st.integers(0, 500)), max_size=5))
def test_any_words_round_trip(said):
    words, at = [], 0
    for text, length, pause in said:
        words.append(TimedWord(text, (at + pause) / 1000, (at + pause + length) / 1000))
        at += pause + length
    expected = [(w.start, w.end, w.word) for w in words]
    assert spoken(read_textgrid(textgrid(words, 10.0))[0]) == expected
    assert spoken(read_elan(eaf(words).encode())[0]) == [(a, b, t.strip()) for a, b, t in expected]
