"""Transcripts in the layouts that people score: read rightly, or refused by name; never a wrong rate."""

import json
import re
from dataclasses import replace

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from asr.cli import app
from asr.errors import CorpusError
from asr.model.transcript import TimedWord
from asr.scoring import score
from asr.scoring.reading import read_pair, read_transcripts

SAID = {"u-1": "i want to go home", "u-2": "it's late", "u-3": ""}
HEARD = {"u-1": "i want to go rome", "u-2": "its so late", "u-3": ""}


def ctm(texts):
    return "".join(f"{i} 1 {k}.00 0.5 {w} 0.9\n" for i, text in texts.items() for k, w in enumerate(text.split()))


def stm(texts):
    return ";; comment\n" + "".join(f"{i} A spk 0.0 99.5 <o,f0,male> {text}\n" for i, text in texts.items())


def as_json(texts, **more):
    return "".join(json.dumps({"id": i, "text": text, "words": [], **more}) + "\n" for i, text in texts.items())


def csv(texts):
    return "path,client_id,sentence\n" + "".join(f'clips/{i}.mp3,ann,"{text}"\n' for i, text in texts.items())


def mlf(texts):
    return "#!MLF!#\n" + "".join(f'"*/{i}.lab"\n{"".join(w + chr(10) for w in t.split())}.\n' for i, t in texts.items())


LAYOUTS = {
    "kaldi text": ("text", lambda texts: "".join(f"{i} {text}\n" for i, text in texts.items())),
    "two columns": ("x.tsv", lambda texts: "".join(f"{i}\t{text}\n" for i, text in texts.items())),
    "named columns": ("x.tsv", lambda texts: "id\ttext\n" + "".join(f"{i}\t{t}\n" for i, t in texts.items())),
    "corpus": (
        "x.tsv",
        lambda t: "id\taudio\ttext\tspeaker\n" + "".join(f"{i}\ta.wav\t{x}\tann\n" for i, x in t.items()),
    ),
    "csv": ("x.csv", csv),
    "csv in another name": ("x.txt", csv),
    "deepspeech": (
        "x.csv",
        lambda t: "wav_filename,wav_filesize,transcript\n" + "".join(f"a/{i}.wav,3,{x}\n" for i, x in t.items()),
    ),
    "ljspeech": ("metadata.csv", lambda texts: "".join(f"{i}|Raw 1!|{text}\n" for i, text in texts.items())),
    "trn": ("x.trn", lambda texts: "".join(f"{text} ({i})\n" for i, text in texts.items())),
    "trn of sphinx": ("x.match", lambda texts: "".join(f"<s> {text} </s> ({i} -12345)\n" for i, text in texts.items())),
    "files and texts between bars": (
        "x.lst",
        lambda texts: "".join(f"wav/{i}.wav|{text}\n" for i, text in texts.items()),
    ),
    "trn in another name": ("hyp.txt", lambda texts: "".join(f"{text} ({i})\n" for i, text in texts.items())),
    "trn of espnet": ("hyp", lambda texts: "".join(f"{text}\t({i})\n" for i, text in texts.items())),
    "json lines": ("x.jsonl", as_json),
    "json lines in another name": ("out", as_json),
    "nemo": (
        "m.json",
        lambda t: "".join(json.dumps({"audio_filepath": f"/x/{i}.wav", "text": x}) + "\n" for i, x in t.items()),
    ),
    "mlf": ("x.mlf", mlf),
    "ctm": ("x.ctm", ctm),
    "utf-16": ("text16", lambda texts: "\ufeff" + "".join(f"{i} {text}\n" for i, text in texts.items())),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all examples of a property."""
    return tmp_path_factory.mktemp("layouts")


def saved(folder, layout, texts, side):
    name, write = LAYOUTS[layout]
    path = folder / side / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(write(texts), encoding="utf-16-le" if layout == "utf-16" else "utf-8")
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_layout_gives_the_same_transcripts_and_rate(tmp_path, layout):
    references = read_transcripts(saved(tmp_path, layout, SAID, "ref"))
    hypotheses = read_transcripts(saved(tmp_path, layout, HEARD, "hyp"))
    missing = {"u-3"} if layout == "ctm" else set()  # without words an utterance has no line in it
    assert references == {i: text for i, text in SAID.items() if i not in missing}
    assert score(references, hypotheses).errors == 3 and score(references, hypotheses).total == 7


WORDS = st.lists(st.sampled_from(["home", "rome", "it's", "ça", "(uh)x", "25"]), min_size=1, max_size=6).map(" ".join)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(sorted(LAYOUTS)), st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=5))
def test_rates_are_those_of_jiwer_in_every_layout(folder, layout, pairs):
    references = {f"s{i}-a": reference for i, (reference, _) in enumerate(pairs)}
    hypotheses = {f"s{i}-a": hypothesis for i, (_, hypothesis) in enumerate(pairs)}
    found = score(*read_pair(saved(folder, layout, references, "ref"), saved(folder, layout, hypotheses, "hyp")))
    expected = jiwer.process_words(list(references.values()), list(hypotheses.values()))
    assert found.rate == pytest.approx(100 * expected.wer)
    assert found.total == expected.hits + expected.substitutions + expected.deletions


def test_an_stm_is_not_read_with_its_first_field_as_the_id(tmp_path):
    """5 words, one of them wrong; taking speaker and times for words made 10 % of that."""
    (tmp_path / "ref.stm").write_text("f1 A s1 0.0 2.0 <o,f0,male> i want to go home\n")
    (tmp_path / "hyp.stm").write_text("f1 A s1 0.0 2.0 <o,f0,male> i want to go rome\n")
    found = score(*read_pair(tmp_path / "ref.stm", tmp_path / "hyp.stm"))
    assert (found.errors, found.total) == (1, 5)
    (tmp_path / "hyp.txt").write_text("f1\ti want to go rome\n")  # of the whole recording
    assert score(*read_pair(tmp_path / "ref.stm", tmp_path / "hyp.txt")).total == 5


STM = """;; LABEL "o" "all" "all speakers"
call A ann 0.00 2.00 <o> one two
call A bob 2.50 4.00 <o> three
call A ann 4.00 6.00 <o> IGNORE_TIME_SEGMENT_IN_SCORING
call A ann 6.00 8.00 <o> four
call B eve 0.00 8.00 <o> five
"""


def words(*timed):
    return "".join(f"{name} {channel} {start} {length} {word}\n" for name, channel, start, length, word in timed)


def test_words_come_into_segments_by_their_middle(tmp_path):
    """The rules of sclite: the middle of a word tells its segment, a gap's words belong to the segment after it, what
    comes after the last belongs to the last, and segments that are to be ignored take their words along."""
    (tmp_path / "r.stm").write_text(STM)
    heard = [
        ("call", "A", 0.1, 0.4, "one"), ("call", "A", 1.8, 0.3, "two"), ("call", "A", 2.2, 0.1, "gap"),
        ("call", "A", 3.8, 0.5, "ignored"), ("call", "A", 5.0, 0.5, "ignored"), ("call", "A", 6.5, 0.5, "four"),
        ("call", "A", 9.0, 0.5, "late"), ("call", "B", 1.0, 0.5, "five"),
    ]  # fmt: skip
    (tmp_path / "h.ctm").write_text(words(*heard))
    references, hypotheses = read_pair(tmp_path / "r.stm", tmp_path / "h.ctm")
    assert list(references.values()) == ["one two", "three", "four", "five"]
    assert list(hypotheses.values()) == ["one two", "gap", "four late", "five"]
    assert references.keys() == hypotheses.keys()


def test_one_channel_needs_no_name_but_a_strange_recording_is_refused(tmp_path):
    (tmp_path / "r.stm").write_text("call A ann 0.00 2.00 one two\n")
    (tmp_path / "h.ctm").write_text(words(("call", "1", 0.1, 0.4, "one")))  # as asr transcribe writes it
    assert read_pair(tmp_path / "r.stm", tmp_path / "h.ctm")[1] == {"call-A-0.000-2.000": "one"}
    (tmp_path / "h.ctm").write_text(words(("other", "1", 0.1, 0.4, "one")))
    with pytest.raises(CorpusError, match="no reference segment: other 1; references have 'call A'"):
        read_pair(tmp_path / "r.stm", tmp_path / "h.ctm")


def test_channels_of_a_call_are_recordings_of_their_own(tmp_path):
    for name, channels in (("r.ctm", "12"), ("h.ctm", "12"), ("ab.ctm", "AB")):
        said = [("call", channels[0], 0.1, 0.2, "one"), ("call", channels[1], 0.5, 0.2, "two")]
        (tmp_path / name).write_text(words(*said))
    (tmp_path / "right.ctm").write_text(words(("call", "2", 0.5, 0.2, "two")))
    (tmp_path / "call.stm").write_text("call A ann 0.0 1.0 one\ncall B bob 0.0 1.0 two\n")
    (tmp_path / "h.txt").write_text("call-1\tone\ncall-2\ttwo\n")
    for reference in ("r.ctm", "ab.ctm", "call.stm"):
        for hypothesis, errors in (("h.ctm", 0), ("ab.ctm", 0), ("right.ctm", 1)):
            assert score(*read_pair(tmp_path / reference, tmp_path / hypothesis)).errors == errors
    assert score(*read_pair(tmp_path / "r.ctm", tmp_path / "h.txt")).errors == 0
    (tmp_path / "both.ctm").write_text(words(("call", "1", 0.1, 0.2, "one"), ("call", "A", 0.5, 0.2, "two")))
    with pytest.raises(CorpusError, match="under two names"):
        read_pair(tmp_path / "call.stm", tmp_path / "both.ctm")


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_segments_with_their_own_words_are_right_whatever_the_times(folder, data):
    """Planted: words inside each segment, with gaps between; every segment gets its own words back."""
    lines, timed, now = [], [], 0.0
    for k, text in enumerate(data.draw(st.lists(WORDS, min_size=1, max_size=5))):
        start = now + data.draw(st.integers(0, 20)) / 10
        said = text.replace("(uh)", "uh").split()
        now = start + 0.25 * len(said)
        lines.append(f"f 1 s{k} {start:.2f} {now:.2f} {' '.join(said)}\n")
        timed += [("f", 1, f"{start + 0.25 * i:.2f}", 0.25, word) for i, word in enumerate(said)]
    (folder / "r.stm").write_text("".join(lines))
    (folder / "h.ctm").write_text(words(*timed))
    references, hypotheses = read_pair(folder / "r.stm", folder / "h.ctm")
    assert references == hypotheses


RTTM = "SPEAKER f 1 0.00 2.00 <NA> <NA> ann <NA> <NA>\n" * 2


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.stm", "f1 A s1 0.0 2.0 i { um / uh go\n", "x.stm:1: '{' or '}' without the other, or without a slash"),
        ("x.stm", RTTM, "x.stm:1: a line of NIST's RTTM, which tells who speaks when; need a segment and its words"),
        ("x.rttm", RTTM, "x.rttm: NIST's RTTM, which tells who speaks when; need lines of an utterance id"),
        ("x.txt", ";; of a meeting\n" + RTTM, "x.txt: NIST's RTTM"),
        ("x.stm", "f1 A s1 2.0 1.0 i go\n", "x.stm:1: start 2.0 and end 1.0; need the start before the end"),
        ("x.stm", "f1 A i go home now\n", "x.stm:1: need `recording channel speaker start end words`"),
        ("x.stm", "f A s 0.0 2.0 <o> a\nf A s 2.0 3.0 b\n", "x.stm:1: '<o>': a label, or a word?"),
        ("x.stm", "f A s 0.0 2.0 a\nf A s 0.0 2.0 b\n", "x.stm:2: the segment of line 1 again"),
        ("x.stm", ";; nothing\n", "x.stm: holds no segments"),
        ("x.trn", "i um / uh } go (u-1)\n", "x.trn:1: '{' or '}' without the other"),
        ("text", "u-1 i go\nu-2 i { um } go\n", "text:2: '{' or '}' without the other, or without a slash"),
        ("x.trn", "i go (u-1)\ni go\n", "x.trn:2: need words and an id in parentheses"),
        ("x.ctm", "u 1 * * <ALT_BEGIN>\nu 1 0.1 0.1 uh\n", "x.ctm:1: holds alternatives (<ALT_BEGIN>)"),
        ("x.txt", "f1 A s1 0.0 2.0 i go\n", "looks like NIST's stm; give the file the ending .stm (what is piped"),
        ("x.txt", "f1 A 0.0 2.0 i 0.9\nf1 A 2.1 0.2 go\n", "x.txt: looks like NIST's ctm; give the file the ending"),
        ("x.txt", "i want to go\nthe cat sat\n", "the first words of its lines ids? They look like words ('i', 'the')"),
        ("x.txt", "我想回家\n", "are the first words of its lines ids?"),
        ("x.tsv", "a.wav\ti go\tann\n", "x.tsv:1: 3 columns and no line that names id and text"),
        ("x.csv", "a.wav,i go\n", "x.csv: a table with commas between its cells and no columns of ids and text"),
        ("x.csv", "id,reference,hypothesis\nu,a,b\n", "x.csv: a table with commas between its cells and more than one"),
        ("x.csv", 'id,text\nu,"a\n', "x.csv: line 2: quotes do not fit together"),
        ("x.csv", "id,text\nu,a,b\n", "x.csv:2: 3 cells, but the first line has 2"),
        ("x.jsonl", '{"id": "u", "text": "a", "pred_text": "b"}\n', "x.jsonl:1: an object with more than one text"),
        ("x.jsonl", '{"id": "u"}\n', "x.jsonl:1: an object with no id or no text"),
        ("x.json", '[{"id": "u"}]\n', "x.json: one JSON array, not JSON lines"),
        ("x.json", '{\n "text": "a"\n}\n', "x.json: JSON over several lines"),
        ("x.mlf", '#!MLF!#\n"*/a.lab"\none\n', "x.mlf:2: the labels of 'a' do not end with a line of one dot"),
        ("x.txt", 'File type = "ooTextFile"\n', "x.txt: a TextGrid of Praat; need lines"),
        ("x.srt", "1\n00:00:00,000 --> 00:00:01,000\nhello\n", "x.srt: subtitles (SRT)"),
        ("x.vtt", "WEBVTT\n\n", "x.vtt: WebVTT subtitles"),
        ("x.eaf", '<?xml version="1.0"?>\n', "x.eaf: XML"),
        ("x.cha", "@UTF8\n@Begin\n*CHI:\tmore .\n", "x.cha: CHAT"),
        ("x.txt", "PK\x03\x04\0\n", "x.txt: a document or archive"),
        ("x.txt", "RIFF\0\0\0\0WAVE\n", "x.txt: no text: it has bytes of value 0"),
        ("x.sgml", '<SYSTEM title="a">\n', "x.sgml: SGML"),
        ("x.json", '[\n {"id": "u"}\n]\n', "x.json: one JSON array"),
        ("x.json", '{"text": "a", "segments": []}\n', "x.json: Whisper's JSON, which has no id"),
        ("x.json", '{"result": [], "text": "a"}\n', "x.json: Vosk's JSON, which has no id"),
        ("x.lab", "0 1200 one\n1200 2000 two\n", "x.lab: labels with their times"),
        ("segments", "f-1 f 0.00 2.50\nf-2 f 2.5 30\n", "segments: stretches of recordings without words"),
        ("per_utt", "u-1 ref i go\nu-1 hyp i go\nu-1 op C C\n", "per_utt: alignments, as Kaldi's per_utt"),
        ("x.stm", "f A 0.10 0.40 5 0.9\nf A 0.60 0.70 6 0.8\n", "x.stm: looks like NIST's ctm"),
        ("x.html", "<!doctype html>\n", "x.html: HTML"),
        ("x.txt", "a.wav|i want home|ann\nb.wav|yes it is|ann\n", "x.txt: a table of 3 cells between bars, of which"),
        ("metadata.csv", "u1|i want home|ann\n", "metadata.csv: a table of 3 cells between bars, of which no line"),
        ("x.txt", "0.0 2.1 i want home\n2.1 3 yes\n", "x.txt: labels with their times (Audacity)"),
        ("x.txt", "0.000\t2.100\ti want\n", "x.txt: labels with their times (Audacity)"),
        ("x.txt", "[00:01.00] i want\n[00:02.50] yes\n", "x.txt: lines that begin with times, not ids"),
        ("x.txt", "REF: i want home\nHYP: i went home\n", "x.txt: alignments, with lines REF: and HYP: of both sides"),
        ("x.txt", "utt: u1\nREF: i WANT\nHYP: i WENT\n", "x.txt: alignments, with lines REF: and HYP: of both sides"),
        ("recogs.txt", "u1-0:\tref=['i']\nu1-0:\thyp=['a']\n", "recogs.txt: icefall's recogs, which hold references"),
        ("x.txt", "T-0\ti go\nH-0\t-0.3\ti go\n", "x.txt: fairseq's output, of references (T-)"),
        ("x.txt", "*CHI:\tmore .\n", "x.txt: CHAT"),
        ("x.txt", "u-1 i go\n# dev set\n", "x.txt:2: a comment? Remove it"),
        ("text", ";; dev set\nu-1 i go\n", "text:1: a comment? Remove it"),
    ],
)  # fmt: skip
def test_what_would_give_a_wrong_rate_is_refused_by_name(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_transcripts(tmp_path / name)


@pytest.mark.parametrize("name", ["x.trn", "x.txt"])
def test_numbers_in_a_trn_are_no_times(tmp_path, name):
    (tmp_path / name).write_text("25 25 home (s0-a)\n0.5 1.5 (s0-b)\n")
    assert read_transcripts(tmp_path / name) == {"s0-a": "25 25 home", "s0-b": "0.5 1.5"}


def test_ids_of_json_may_be_numbers(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"id": 1, "text": "i go"}\n{"id": 2, "text": "home"}\n')
    assert read_transcripts(tmp_path / "x.jsonl") == {"1": "i go", "2": "home"}


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("kaldi text", "utf-16")])
def test_lines_with_ids_are_no_utterances_as_they_are(tmp_path, layout):
    path = saved(tmp_path, layout, SAID, "ref")
    with pytest.raises(CorpusError, match="leave --no-ids out"):
        read_transcripts(path, ids=False)


def test_the_command_warns_where_lines_without_ids_seem_to_have_them(tmp_path):
    for name, text, warns in (("a", "u-1 i go\nu-2 yes\n", True), ("b", "3 dogs\n4 cats b2\n", False)):
        (tmp_path / name).write_text(text)
        shown = CliRunner().invoke(app, ["score", "--no-ids", str(tmp_path / name), str(tmp_path / name)])
        assert shown.exit_code == 0 and ("seem to begin with ids" in shown.stderr) == warns


def test_references_may_be_those_of_a_corpus(tmp_path):
    soundfile.write(tmp_path / "u1.wav", np.zeros(8000), 8000)
    (tmp_path / "u1.txt").write_text("i want  home\n")
    (tmp_path / "kaldi").mkdir()
    (tmp_path / "kaldi" / "text").write_text("u1 i want home\n")
    (tmp_path / "heard").write_text("u1\ti want rome\n")
    for folder in (tmp_path, tmp_path / "kaldi"):
        assert read_pair(folder, tmp_path / "heard") == ({"u1": "i want home"}, {"u1": "i want rome"})


def test_ids_that_one_side_lacks_can_be_left_out(tmp_path):
    (tmp_path / "ref").write_text("u1\ta b\nu2\tc\n")
    (tmp_path / "hyp").write_text("u1\ta x\nu3\tc\nu4\td\n")
    asked = ["score", "--unit", "word", str(tmp_path / "ref"), str(tmp_path / "hyp")]
    with pytest.raises(CorpusError, match=r"2 of 3 hypotheses have an id without reference: u3, u4; .*--common"):
        score(*read_pair(tmp_path / "ref", tmp_path / "hyp"))
    shown = CliRunner().invoke(app, [*asked, "--common"])
    assert shown.exit_code == 0 and "[ 1 / 2," in shown.stdout
    assert "left out: 1 reference and 2 hypotheses without the other" in shown.stderr
    (tmp_path / "hyp").write_text("u3\tc\n")
    assert "no id is in both" in str(CliRunner().invoke(app, [*asked, "--common"]).exception)


SEVERAL = {"u-1": "i {um/uh} go", "u-2": "{ it is / it's / @ } (uh) late", "u-3": "%hesitation"}
CHOSEN = {"u-1": "i uh go", "u-2": "it's late", "u-3": ""}


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("ctm", "mlf")])
def test_alternatives_count_as_the_best_of_them_in_every_layout(tmp_path, layout):
    """Right is no error of 3 + 3 + 1 words: what is missing as it may be counts as right."""
    hypothesis = saved(tmp_path, layout, CHOSEN, "hyp")
    found = score(*read_pair(saved(tmp_path, layout, SEVERAL, "ref"), hypothesis))
    assert (found.errors, found.total) == (0, 7)
    with pytest.raises(CorpusError, match=r"'u-1' has alternatives, \{ a / b \}; only references may have them"):
        read_pair(hypothesis, saved(tmp_path, layout, SEVERAL, "ref"))


def test_alternatives_of_an_stm_against_words_with_times_and_whole_recordings(tmp_path):
    (tmp_path / "r.stm").write_text("call A ann 0 2 <o> one { two / to }\ncall A ann 2 4 <o> {three/tree} (uh)\n")
    (tmp_path / "h.ctm").write_text(words(("call", 1, 0.1, 0.5, "one"), ("call", 1, 1, 0.5, "to")))
    (tmp_path / "h.txt").write_text("call\tone to tree\n")
    by_times = score(*read_pair(tmp_path / "r.stm", tmp_path / "h.ctm"))
    assert (by_times.errors, by_times.total, by_times.deletions) == (1, 4, 1)
    assert score(*read_pair(tmp_path / "r.stm", tmp_path / "h.txt")).errors == 0


def test_mlf_with_times(tmp_path):
    (tmp_path / "x.mlf").write_text('#!MLF!#\n"/data/s1_a.rec"\n0 1200000 one -40.5\n1200000 2000000 two\n.\n')
    assert read_transcripts(tmp_path / "x.mlf") == {"s1_a": "one two"}


def test_words_in_parentheses_are_no_ids(tmp_path):
    (tmp_path / "x.txt").write_text("u-1 i go (laughs)\nu-2 home (coughs)\n")
    assert read_transcripts(tmp_path / "x.txt") == {"u-1": "i go (laughs)", "u-2": "home (coughs)"}


def test_lines_without_ids_belong_to_each_other(tmp_path):
    (tmp_path / "r").write_text("i want to go home\n\nthe end\n")
    (tmp_path / "h").write_text("i want to go rome\noh\nthe end\n")
    found = score(*read_pair(tmp_path / "r", tmp_path / "h", ids=False))
    assert (found.errors, found.total) == (2, 7)
    (tmp_path / "h").write_text("i want to go rome\n")
    with pytest.raises(CorpusError, match=r"r has 3 lines, .*h 1; without ids line belongs to line"):
        read_pair(tmp_path / "r", tmp_path / "h", ids=False)
    assert read_transcripts(tmp_path / "h", ids=True) == {"i": "want to go rome"}


def test_ids_that_look_like_words_are_ids_where_the_other_file_says_so(tmp_path):
    """Recordings may be named hello.wav, and what asr transcribe writes has a tab after the id."""
    (tmp_path / "r").write_text("hello one two\nbye three\n")
    (tmp_path / "h").write_text("hello\tone too\n")
    found = score(*read_pair(tmp_path / "r", tmp_path / "h"))
    assert (found.errors, found.total) == (2, 3)
    (tmp_path / "h").write_text("other\tone too\n")
    for pair in (("r", "h"), ("h", "r"), ("r", "r")):
        with pytest.raises(CorpusError, match="the first words of its lines ids"):
            read_pair(tmp_path / pair[0], tmp_path / pair[1])


def test_what_asr_transcribe_writes_is_read(tmp_path):
    from asr.model.transcript import Transcript
    from asr.transcribe.writing import FORMATS, as_ctm, as_json, as_text

    heard = Transcript("one two", (TimedWord("one", 0.0, 0.5), TimedWord("two", 0.5, 0.75)))
    pieces = FORMATS["lines"]("rec 1")
    (tmp_path / "lines.tsv").write_text(
        pieces.add(replace(heard, text="one"), 0, 1) + pieces.add(replace(heard, text="two"), 1, 2)
    )
    assert read_transcripts(tmp_path / "lines.tsv") == {"rec 1": "one two"}
    for name, write in (("x.tsv", as_text), ("x.jsonl", as_json), ("x.ctm", as_ctm)):
        (tmp_path / name).write_text(write("rec 1", heard))
        assert list(read_transcripts(tmp_path / name).values()) == ["one two"], name


def test_the_command_scores_segments_against_words_with_times(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "r.stm").write_text("call A ann 0.00 2.00 one two\n")
    (tmp_path / "h.ctm").write_text(words(("call", "1", 0.1, 0.4, "one")))
    command = ["score", "r.stm", "h.ctm", "--unit", "word"]
    done = run(*command)
    assert done.out.startswith("%WER 50.00 [ 1 / 2, 0 ins, 1 del, 0 sub ]")
    (tmp_path / "h.ctm").write_text(words(("call", "1", 0.1, 0.4, "One"), ("call", "1", 0.6, 0.4, "two.")))
    done = run(*command)
    assert "2 / 2" in done.out and "2 of the 2 errors of words are of case or punctuation alone" in done.err
    (tmp_path / "r.stm").write_text("call A ann 0.00 2.00 {one/won} (uh) two\n")
    (tmp_path / "h.ctm").write_text(words(("call", "1", 0.1, 0.4, "won"), ("call", "1", 0.6, 0.4, "two")))
    done = run(*command)
    assert "0 / 3" in done.out and "1 reference can be said in several ways" in done.err
    (tmp_path / "plain.txt").write_text("the cat sat\n")
    command = ["score", "plain.txt", "plain.txt"]
    done = run(*command)
    assert done.status == 1 and "--no-ids" in done.err
    done = run(*command, "--no-ids")
    assert "[ 0 / 3," in done.out


def test_what_holds_of_words_and_characters_alike_is_told_once(tmp_path, monkeypatch, capsys):
    from asr.cli import main

    (tmp_path / "text").write_text("a\tone two\n")
    monkeypatch.setattr("sys.argv", ["asr", "score", str(tmp_path / "text"), str(tmp_path / "text")])
    with pytest.raises(SystemExit):
        main()
    told = capsys.readouterr().out
    assert told.count("%SER") == told.count("not known") == told.count("%CER") == 1
