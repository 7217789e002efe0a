"""Transcripts with tiers and times beside recordings: what they say becomes text, their markup never does."""

import json

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.corpus import Corpus
from asr.corpus.annotations import parts_of
from asr.corpus.textgrid import read_textgrid
from asr.corpus.tiers import Interval, Tier
from asr.errors import CorpusError

RATE = 8000


def long_form(tiers, end=3.0):
    """A TextGrid as Praat's "save as text file" writes it."""
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ", f"xmax = {end} "]
    lines += ["tiers? <exists> ", f"size = {len(tiers)} ", "item []: "]
    for k, (name, intervals) in enumerate(tiers, 1):
        lines += [
            f"    item [{k}]:",
            '        class = "IntervalTier" ',
            f'        name = "{name}" ',
            "        xmin = 0 ",
        ]
        lines += [f"        xmax = {end} ", f"        intervals: size = {len(intervals)} "]
        for i, (start, stop, text) in enumerate(intervals, 1):
            shown = text.replace('"', '""')
            lines += [f"        intervals [{i}]:", f"            xmin = {start} ", f"            xmax = {stop} "]
            lines += [f'            text = "{shown}" ']
    return "\n".join(lines) + "\n"


def short_form(tiers, end=3.0):
    """The same as "save as short text file" writes it, with a tier of points before."""
    lines = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "0",
        str(end),
        "<exists>",
        str(len(tiers) + 1),
    ]
    lines += ['"TextTier"', '"bells"', "0", str(end), "1", "1.5", '"ring"']
    for name, intervals in tiers:
        lines += ['"IntervalTier"', f'"{name}"', "0", str(end), str(len(intervals))]
        for start, stop, text in intervals:
            shown = text.replace('"', '""')
            lines += [str(start), str(stop), f'"{shown}"']
    return "\n".join(lines) + "\n"


WORDS = ("words", [(0, 0.5, ""), (0.5, 1.0, "two"), (1.0, 1.2, ""), (1.2, 2.0, "seven"), (2.0, 3.0, "")])
PHONES = ("phones", [(0, 1.0, "t uw"), (1.0, 3.0, "s")])
SPEECH = ("speech", [(0, 0.2, ""), (0.2, 1.0, 'he said "go"'), (1.0, 1.5, " "), (1.5, 2.75, "home, now")])

EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT AUTHOR="" DATE="2026-01-01T00:00:00+00:00" FORMAT="3.0" VERSION="3.0">
  <TIME_ORDER>
    <TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="200"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/>
    <TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts4" TIME_VALUE="2750"/>
  </TIME_ORDER>
  <TIER LINGUISTIC_TYPE_REF="default-lt" TIER_ID="ref" PARTICIPANT="Ann B">
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
      <ANNOTATION_VALUE>001</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
    <ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts3" TIME_SLOT_REF2="ts4">
      <ANNOTATION_VALUE>002</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
  </TIER>
  <TIER LINGUISTIC_TYPE_REF="tx" TIER_ID="tx" PARENT_REF="ref" PARTICIPANT="Ann B">
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a3" ANNOTATION_REF="a1">
      <ANNOTATION_VALUE>go home</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a4" ANNOTATION_REF="a2">
      <ANNOTATION_VALUE>now</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
    <ANNOTATION><REF_ANNOTATION ANNOTATION_ID="a5" ANNOTATION_REF="a2" PREVIOUS_ANNOTATION="a4">
      <ANNOTATION_VALUE>&amp; then</ANNOTATION_VALUE></REF_ANNOTATION></ANNOTATION>
  </TIER>
</ANNOTATION_DOCUMENT>
"""
SRT = "1\n00:00:00,200 --> 00:00:01,000\n<i>go</i> home\n\n2\n00:00:01,500 --> 00:00:02,750\nnow &\nthen\n"
VTT = "WEBVTT\n\nNOTE hello\n\n00:00.200 --> 00:01.000 align:start\ngo home\n\n00:01.500 --> 00:02.750\n<v Ann>now & "
VTT += "then\n"
WHISPER = json.dumps({"text": " go home now", "segments": [
    {"id": 0, "start": 0.2, "end": 1.0, "text": " go home"}, {"start": 1.5, "end": 2.75, "text": " now & then"},
]})  # fmt: skip
AUDACITY = "0.200000\t1.000000\tgo home\n1.500000\t2.750000\tnow & then\n"
BOTH = [(0.2, 1.0, "go home"), (1.5, 2.75, "now & then")]


@pytest.fixture
def recording(tmp_path):
    """A function that puts a file beside a recording of 3 s, and gives the folder."""
    folder = tmp_path / "corpus"

    def put(name, text, encoding="utf-8"):
        (folder / "ann").mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "ann" / "rec.wav", np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
        (folder / "ann" / name).write_bytes(text.encode(encoding))
        return folder

    return put


def read(folder, suffix, tier=None):
    corpus = Corpus.from_folder(folder, text_suffix=suffix, tier=tier)
    return [(u.id, u.speaker, u.start, u.end, u.text) for u in corpus], [p.message for p in corpus.problems]


def old_short_form(tiers, end=3.0):
    """As older versions of Praat name it."""
    return short_form(tiers, end).replace('"ooTextFile"', '"ooTextFile short"')


@pytest.mark.parametrize("form", [long_form, short_form, old_short_form])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_words_of_a_textgrid_are_one_text(recording, form, encoding):
    folder = recording("rec.TextGrid", form([PHONES, WORDS]), encoding)
    assert read(folder, ".TextGrid") == ([("rec", "ann", None, None, "two seven")], [])
    assert read(folder, ".TextGrid", "words") == read(folder, ".TextGrid", "WORDS") == read(folder, ".TextGrid")
    assert [u[2:] for u in read(folder, ".TextGrid", "phones")[0]] == [(None, 1.0, "t uw"), (1.0, 3.0, "s")]


def test_intervals_of_utterances_are_utterances_with_their_times(recording):
    folder = recording("rec.TextGrid", long_form([SPEECH]))
    assert read(folder, ".TextGrid")[0] == [
        ("rec-000020-000100", "ann", 0.2, 1.0, 'he said "go"'),
        ("rec-000150-000275", "ann", 1.5, 2.75, "home, now"),
    ]


def test_a_long_recording_with_times_of_words_is_cut_at_its_pauses(tmp_path):
    words = [(1.0 + 0.5 * k, 1.4 + 0.5 * k, f"w{k}") for k in range(40)]  # 0.1 s between them
    words += [(31.0, 31.5, "late"), (31.5, 32.0, "words")]
    path = tmp_path / "x.TextGrid"
    path.write_text(long_form([("words", words)], end=40.0))
    first, last = parts_of(path, None)
    assert first[:2] == pytest.approx((0.85, 20.9 + 0.15)) and first.text.split() == [f"w{k}" for k in range(40)]
    assert last[:2] == pytest.approx((30.85, 32.15)) and last.text == "late words"


def test_tiers_of_speakers(recording):
    """As the Montreal Forced Aligner writes them."""
    tiers = [("ann - words", [(0, 1.0, "one"), (1.0, 3.0, "")]), ("ann - phones", [(0, 3.0, "w ah n")])]
    tiers += [("bob - words", [(0, 1.0, ""), (1.0, 2.0, "two"), (2.0, 3.0, "three")])]
    folder = recording("rec.TextGrid", long_form(tiers))
    (folder / "ann" / "rec.wav").rename(folder / "ann" / "x.wav")
    (folder / "ann" / "rec.TextGrid").rename(folder / "ann" / "x.TextGrid")
    assert [(p.speaker, p.text) for p in parts_of(folder / "ann" / "x.TextGrid", None)] == [
        ("ann", "one"),
        ("bob", "two three"),
    ]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("rec.srt", SRT, BOTH),
        ("rec.srt", SRT.replace("\n", "\r\n"), BOTH),
        ("rec.vtt", VTT, BOTH),
        ("rec.json", WHISPER, BOTH),
        ("rec.json", json.dumps({"id": "rec", "text": "go home", "words": []}), [(None, None, "go home")]),
        ("rec.txt", AUDACITY, BOTH),
        ("rec.lab", "0 5000000 sil\n5000000 10000000 go\n10000000 25000000 home -61.5\n", [(None, None, "go home")]),
        ("rec.lab", "go home\n", [(None, None, "go home")]),  # as MFA reads them
        ("rec.txt", "0 46797 go home.\n", [(None, None, "go home.")]),  # as TIMIT's
        ("rec.txt", "1 2 3\n", [(None, None, "1 2 3")]),
        ("rec.txt", "1 2 three\n", [(None, None, "1 2 three")]),
        ("rec.txt", "{laughs} go\n", [(None, None, "{laughs} go")]),
        ("rec.txt", long_form([WORDS]), [(None, None, "two seven")]),  # whatever its name
    ],
)
def test_subtitles_labels_and_json(recording, name, text, expected):
    folder = recording(name, text)
    assert [u[2:] for u in read(folder, name[3:])[0]] == expected


def test_an_elan_document(recording):
    folder = recording("rec.eaf", EAF)
    assert read(folder, ".eaf", "tx")[0] == [
        ("rec-000020-000100-Ann_B", "Ann_B", 0.2, 1.0, "go home"),
        ("rec-000150-000275-Ann_B", "Ann_B", 1.5, 2.75, "now & then"),
    ]
    with pytest.raises(CorpusError, match=r"has several tiers, 'ref', 'tx'; name the one to read with --tier"):
        read(folder, ".eaf")
    with pytest.raises(CorpusError, match=r"has no tier 'word'; there are 'ref', 'tx'"):
        read(folder, ".eaf", "word")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("rec.txt", "<!DOCTYPE html><html>not found</html>", "is HTML, not a transcript"),
        ("rec.txt", "<?xml version='1.0'?><a/>", "is XML, not a transcript"),
        ("rec.txt", "{\\rtf1 hello}", "is RTF, not a transcript"),
        ("rec.txt", "%PDF-1.4", "is PDF, not a transcript"),
        ("rec.cha", "@UTF8\n@Begin\n*CHI: go home\n", "is CHAT, not a transcript"),
        ("rec.txt", "*CHI:\tgo home .\n", "is CHAT, not a transcript"),
        ("rec.ass", "[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:02.00,go\n", "is subtitles of SubStation"),
        ("rec.ctm", "rec 1 0.1 0.3 go\nrec 1 0.5 0.3 home 0.9\n", "is NIST's .ctm"),
        ("rec.txt", ";; a\nrec 1 ann 0.0 2.0 <o> go home\n", "is NIST's .stm"),
        ("rec.csv", "start,end,text\n0,2,go home\n", "is a table with names of its columns"),
        ("rec.tsv", "start\tend\ttext\n0\t2000\tgo home\n", "is a table with names of its columns"),
        ("rec.tsv", "0\t2\tgo home\n", "is a table of times in a unit that nothing tells"),
        ("rec.sbv", "0:00:00.000,0:00:02.000\ngo home\n", "is YouTube's subtitles (.sbv)"),
        ("rec.lrc", "[ar:ann]\n[00:01.00]go home\n", "is lyrics with times (.lrc)"),
        ("rec.txt", "[00:01.00]go home\n", "is lyrics with times (.lrc)"),
        ("rec.json", '{"words": []}', "is JSON of no layout that is known"),
        ("rec.json", '{"text": ', "is damaged JSON"),
        ("rec.json", "[" * 100_000, "is damaged JSON"),
        ("rec.TextGrid", "ooBinaryFile\x08TextGrid", "is a binary file of Praat"),
        ("rec.TextGrid", "hello", "is no .TextGrid file, or damaged"),
        ("rec.TextGrid", long_form([WORDS])[:-60], "ends amid its tiers; is it cut short"),
        ("rec.TextGrid", long_form([WORDS]).replace("xmax = 1.0", "xmax = one"), "where a number is due"),
        ("rec.TextGrid", long_form([("a", PHONES[1]), ("b", PHONES[1])]), "has several tiers, 'a', 'b'"),
        ("rec.TextGrid", long_form([("words", [(0, 3.0, "sil")])]), "holds no text"),
        ("rec.TextGrid", long_form([("speech", [(2.0, 9.0, "go home")])]), "the part from 2 s to 9 s is beyond"),
        ("rec.TextGrid", 'File type = "ooTextFile"\nObject class = "Pitch 1"\n', "is a file of Praat, but no TextGrid"),
        ("rec.eaf", EAF.replace("<ANN", "<!DOCTYPE x [<!ENTITY a 'b'>]><ANN", 1), "is XML with entities of its own"),
        ("rec.eaf", EAF[:-30], "is damaged XML"),
        ("rec.eaf", EAF.replace(' TIME_VALUE="200"', ""), "annotation '001' of tier 'ref' has no times"),
    ],
)
def test_what_is_no_transcript_is_named(recording, name, text, message):
    with pytest.raises(CorpusError, match=r"no usable utterance(.|\n)*rec\.") as error:
        read(recording(name, text), name[3:])
    assert message in str(error.value)


def test_a_folder_with_other_transcripts_says_which_option_reads_them(recording):
    folder = recording("rec.TextGrid", long_form([WORDS]))
    with pytest.raises(
        CorpusError, match=r"no transcript rec\.txt beside it; there is rec\.TextGrid: --text-suffix .T"
    ):
        Corpus.read(folder)
    from asr.info import describe

    facts = describe(folder)
    assert facts["utterances"] == 1 and facts["first_problems"] == [
        f"{folder}: 1 recording has a file .TextGrid beside it; --text-suffix .TextGrid reads it as transcripts"
    ]
    facts = describe(folder, text_suffix=".TextGrid", tier="words")
    assert facts["problems"] == 0 and facts["transcripts"]["different_words"] == 2
    assert not Corpus.read(folder, need_text=False).problems


texts = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff"), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(texts, st.lists(texts, max_size=4)), max_size=3), st.sampled_from([long_form, short_form]))
def test_a_textgrid_round_trips_whatever_its_texts(tiers, form):
    made = [(name.replace('"', ""), [(k, k + 1, text) for k, text in enumerate(said)]) for name, said in tiers]
    expected = [Tier(name, [Interval(float(a), float(b), text) for a, b, text in said]) for name, said in made]
    assert read_textgrid(form(made)) == expected


@pytest.mark.parametrize(
    ("text", "is_markup"),
    [
        ("<p>two seven</p>", True),
        ("<?xml version='1.0'?>\n<Trans>", True),
        ("<noise> two", False),
        ("<a> b <c>", False),
    ],
)
def test_markup_in_a_file_of_any_ending_is_no_transcript(tmp_path, text, is_markup):
    soundfile.write(tmp_path / "x.wav", np.zeros(8000), 8000)
    (tmp_path / "x.txt").write_text(text + "\n")
    if is_markup:
        with pytest.raises(CorpusError, match="markup"):
            Corpus.from_folder(tmp_path)
    else:
        assert Corpus.from_folder(tmp_path).utterances[0].text == text
