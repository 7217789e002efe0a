"""Scoring: against jiwer, a plain dynamic programme, scipy's bootstrap, and worked examples."""

import re
import subprocess
import sys
from collections import Counter

import jiwer
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from asr.errors import CorpusError
from asr.scoring import Score, compare, score
from asr.scoring.edges import CtmWord, edge_rows, read_ctm, score_edges, share_within
from asr.scoring.reading import read_transcripts

TEXT = st.lists(st.sampled_from(["a", "b", "c", "dd"]), max_size=7).map(" ".join)
PAIRS = st.dictionaries(st.sampled_from([f"u{i}" for i in range(6)]), st.tuples(TEXT, TEXT), min_size=1)
UNITS = pytest.mark.parametrize("unit", ["word", "char"])


def split(pairs):
    return {i: r for i, (r, _) in pairs.items()}, {i: h for i, (_, h) in pairs.items()}


def distance(reference, hypothesis):
    """The textbook table of edit distances."""
    row = list(range(len(hypothesis) + 1))
    for i, r in enumerate(reference, 1):
        previous, row = row, [i]
        for j, h in enumerate(hypothesis, 1):
            row.append(min(previous[j] + 1, row[j - 1] + 1, previous[j - 1] + (r != h)))
    return row[-1]


def test_worked_example():
    """By hand: one word put in, one replaced."""
    found = score({"s": "one two three four"}, {"s": "zero one too three four"})
    assert str(found) == "%WER 50.00 [ 2 / 4, 1 ins, 0 del, 1 sub ]"
    assert (found.substitutions, found.deletions, found.insertions, found.errors, found.total) == (1, 0, 1, 2, 4)
    assert found.confusions[("two", "too")] == 1


def test_kaldi_line_of_the_digits():
    references = {f"u{i}": "seven" for i in range(300)}
    hypotheses = references | {"u7": "", "u8": "six"}
    assert str(score(references, hypotheses)) == "%WER 0.67 [ 2 / 300, 0 ins, 1 del, 1 sub ]"


@UNITS
@given(PAIRS)
@settings(deadline=None)
def test_no_errors_against_itself(unit, pairs):
    references, _ = split(pairs)
    assert score(references, references, unit=unit).rate == 0.0
    assert score(references, references, unit=unit).confusions == {}


@UNITS
@given(PAIRS)
@settings(deadline=None)
def test_distance_is_that_of_the_plain_dynamic_programme(unit, pairs):
    references, hypotheses = split(pairs)
    for utterance in score(references, hypotheses, unit=unit).utterances:
        r, h = references[utterance.id], hypotheses[utterance.id]
        sides = (r.split(), h.split()) if unit == "word" else (r, h)
        assert utterance.errors == distance(*sides)
        assert utterance.total == len(sides[0])


@UNITS
@given(PAIRS)
@settings(deadline=None)
def test_counts_and_rate_are_those_of_jiwer(unit, pairs):
    pairs = {i: (r, h) for i, (r, h) in pairs.items() if r} or {"u": ("a", "b")}  # jiwer treats empty references apart
    references, hypotheses = split(pairs)
    process = jiwer.process_words if unit == "word" else jiwer.process_characters
    theirs = process(list(references.values()), list(hypotheses.values()))
    ours = score(references, hypotheses, unit=unit)
    assert (ours.substitutions, ours.deletions, ours.insertions) == (
        theirs.substitutions,
        theirs.deletions,
        theirs.insertions,
    )
    assert ours.rate == pytest.approx(100 * (theirs.wer if unit == "word" else theirs.cer))


@UNITS
@given(PAIRS)
@settings(deadline=None)
def test_edits_turn_the_reference_into_the_hypothesis(unit, pairs):
    """As multisets: the reference, less what was deleted or replaced, plus what was inserted or put in its place."""
    references, hypotheses = split(pairs)
    for utterance in score(references, hypotheses, unit=unit).utterances:
        r, h = references[utterance.id], hypotheses[utterance.id]
        left, right = (Counter(side.split() if unit == "word" else side) for side in (r, h))
        left.subtract(token for token, _ in utterance.edits if token is not None)
        left.update(token for _, token in utterance.edits if token is not None)
        assert +left == right
        assert min(left.values(), default=0) >= 0


def test_missing_hypotheses_are_deletions_and_named():
    found = score({"a": "one two", "b": "three"}, {"b": "three"})
    assert str(found) == "%WER 66.67 [ 2 / 3, 0 ins, 2 del, 0 sub ]"
    assert found.missing == ("a",)
    assert "1 utterance has no hypothesis, counted as deletions: a" in found.report()


def test_hypotheses_without_reference_are_an_error_unless_told_otherwise():
    with pytest.raises(
        CorpusError, match="2 of 3 hypotheses have an id without reference: x, y; references have ids like 'a'"
    ):
        score({"a": "one"}, {"a": "one", "x": "", "y": "two"})
    assert score({"a": "one"}, {"a": "one", "x": "two"}, unknown_ids="ignore").errors == 0


def test_empty_references_are_defined():
    assert score({"a": ""}, {"a": ""}).rate == 0.0
    assert score({"a": ""}, {"a": "one"}).rate == float("inf")
    assert score({"a": "", "b": "one two"}, {"a": "one", "b": "one two"}).rate == 50.0
    assert score({"a": ""}, {"a": "one"}).interval() == (float("inf"), float("inf"))
    with pytest.raises(CorpusError, match="no references"):
        score({}, {})


def test_unicode_forms_and_blanks_do_not_count_but_case_does():
    assert score({"a": "caf\u00e9  au"}, {"a": " cafe\u0301 au"}).errors == 0
    assert score({"a": "caf\u00e9 x"}, {"a": "cafe\u0301 x"}, unit="char").total == 6
    assert score({"a": "ab cd"}, {"a": "abcd"}, unit="char").confusions == {(" ", None): 1}
    assert score({"a": "One"}, {"a": "one"}).errors == 1


def test_confusions_are_counted_over_all_utterances():
    found = score({"a": "five one", "b": "five two"}, {"a": "nine one", "b": "nine two ten"})
    assert found.confusions == {("five", "nine"): 2, (None, "ten"): 1}


def random_pairs(n, seed, error):
    rng = np.random.default_rng(seed)
    references = {f"u{i}": " ".join("x" * rng.integers(1, 9)) for i in range(n)}
    noisy = {i: " ".join("y" if rng.random() < error else "x" for _ in t.split()) for i, t in references.items()}
    return references, noisy


def test_interval_is_that_of_scipys_bootstrap():
    found = score(*random_pairs(200, 1, 0.2))
    errors = np.array([u.errors for u in found.utterances])
    totals = np.array([u.total for u in found.utterances])
    theirs = stats.bootstrap(
        (errors, totals),
        lambda e, t, axis: 100 * e.sum(axis) / t.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        random_state=0,
    ).confidence_interval
    assert found.interval(n_samples=4000) == pytest.approx(tuple(theirs), abs=0.25)
    assert found.interval() == found.interval()
    assert found.interval(confidence=0.5)[0] > found.interval()[0]
    with pytest.raises(ValueError, match="confidence=95"):
        found.interval(confidence=95)


def test_interval_covers_the_true_rate_about_as_often_as_it_says():
    covered = 0
    for seed in range(100):
        low, high = score(*random_pairs(60, seed, 0.2)).interval(confidence=0.9, n_samples=300)
        covered += low <= 20.0 <= high
    assert 80 <= covered <= 98


def test_paired_comparison():
    references, worse = random_pairs(100, 2, 0.3)
    better = {i: t.replace("y", "x", 1) for i, t in worse.items()}
    a, b = score(references, worse), score(references, better)
    found = compare(a, b)
    assert found.difference == pytest.approx(b.rate - a.rate)
    assert found.low <= found.difference <= found.high < 0
    assert found.better == 1.0
    assert compare(a, a) == (0.0, 0.0, 0.0, 0.5)
    per_utterance = np.array([u.errors - v.errors for u, v in zip(b.utterances, a.utterances, strict=True)])
    totals = np.array([u.total for u in a.utterances])
    theirs = stats.bootstrap(
        (per_utterance, totals),
        lambda d, t, axis: 100 * d.sum(axis) / t.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        random_state=0,
    ).confidence_interval
    ours = compare(a, b, n_samples=4000)
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.3)
    with pytest.raises(CorpusError, match="not of the same references"):
        compare(a, score({"u0": "x"}, {}))


def test_per_speaker_scores_add_up():
    references, hypotheses = random_pairs(30, 3, 0.4)
    del hypotheses["u4"]
    found = score(references, hypotheses)
    speakers = {name: f"s{int(name[1:]) % 3}" for name in references}
    parts = found.by_speaker(speakers)
    assert list(parts) == ["s0", "s1", "s2"]
    assert sum(p.errors for p in parts.values()) == found.errors
    assert parts["s1"] == score(
        {i: t for i, t in references.items() if speakers[i] == "s1"},
        {i: t for i, t in hypotheses.items() if speakers[i] == "s1"},
    )
    assert parts["s1"].missing == ("u4",)
    with pytest.raises(CorpusError, match="1 scored utterances have no speaker: u3"):
        found.by_speaker({i: s for i, s in speakers.items() if i != "u3"})


def test_report_reads_well():
    references = {"a": "five one", "b": "one five -"}
    found = score(references, {"a": "nine one ten", "b": "one nine"}).report(speaker_of={"a": "ann", "b": "bob"})
    assert re.sub(r"95 % interval [\d.]+ to [\d.]+", "95 % interval X to Y", found) == "\n".join(
        [
            "%WER 80.00 [ 4 / 5, 1 ins, 1 del, 2 sub ]",
            "%SER 100.00 [ 2 / 2 ]",
            "95 % interval X to Y % (bootstrap over utterances)",
            "",
            "speaker  utterances  tokens  errors   sub   del   ins    rate %",
            "ann               1       2       2     1     0     1    100.00",
            "bob               1       3       2     1     1     0     66.67",
            "",
            "count  reference  recognised",
            "    2  five       nine",
            "    1  -          ten",
            "    1  '-'        -",
        ]
    )
    assert "five" not in score(references, {}).report(confusions=0)


def test_wrong_options_are_refused():
    for options in ({"unit": "phone"}, {"unknown_ids": "warn"}):
        with pytest.raises(ValueError, match="need '"):
            score({"a": "x"}, {}, **options)
    assert isinstance(score({"a": "x"}, {}), Score)


# --- transcript files


def test_kaldi_text_and_tsv_are_told_apart(tmp_path):
    path = tmp_path / "text"
    path.write_text("u1 one  two\n\nu2\nu3 a\tb\n")
    assert read_transcripts(path) == {"u1": "one two", "u2": "", "u3": "a b"}
    path.write_bytes(b"\xef\xbb\xbfmy file\tone two\r\nother\t\r\n")
    assert read_transcripts(path) == {"my file": "one two", "other": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u1 a\nu2 b\nu1 c\n", "text:3: id 'u1' was given before, in line 1"),
        (b"u1 a\nu\xff b\n", "text:2: not valid UTF-8"),
        (b"u1\ta\n\tb\n", "text:2: no utterance id before the tab"),
        (b"\n", "text: holds no transcripts"),
    ],
)
def test_transcript_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_transcripts(path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_transcripts(tmp_path / "nowhere")


def test_import_is_light():
    heavy = ["numpy", "scipy", "numba", "rapidfuzz", "pynini"]
    code = f"import asr.scoring, sys; print([m for m in {heavy} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_ids_meet_in_composed_form(tmp_path):
    (tmp_path / "ref").write_text("caf\u00e9-1 one\n", encoding="utf-8")
    (tmp_path / "hyp").write_text("cafe\u0301-1\tone\n", encoding="utf-8")
    assert score(read_transcripts(tmp_path / "ref"), read_transcripts(tmp_path / "hyp")).errors == 0


def test_the_report_claims_no_interval_that_it_does_not_have():
    assert "interval not known" in score({"a": "one two"}, {"a": "one too"}).report()
    assert "interval not known" in score({"a": "", "b": ""}, {"a": "one", "b": ""}).report()
    assert (
        "interval 0.00 to 3.00 %"
        in score({"a": "x " * 50, "b": "x " * 50}, {"a": "x " * 50, "b": "x " * 50}, unit="word").report()
    )
    assert "(bootstrap over utterances)" in score({"a": "one", "b": "two"}, {"a": "one", "b": "to"}).report()


# --- word edges


def timed(*words):
    return [CtmWord(*w) for w in words]


def test_edges_by_hand():
    """Four words, of which two are right, one is replaced, one is missing; one more is put in."""
    true = {"u": timed(("one", 0.0, 0.4), ("two", 0.5, 0.9), ("three", 0.9, 1.3)), "v": timed(("four", 0.1, 0.5))}
    heard = {"u": timed(("one", 0.01, 0.35), ("too", 0.5, 0.9), ("three", 0.98, 1.5), ("six", 1.5, 1.6))}
    found = score_edges(true, heard)
    assert [(w.utterance, w.word) for w in found.words] == [("u", "one"), ("u", "three")]
    assert found.starts == pytest.approx((0.01, 0.08)) and found.ends == pytest.approx((-0.05, 0.2))
    assert found.total == 4
    assert [share_within(found.edges, t) for t in (10, 20, 50, 100)] == [25.0, 25.0, 50.0, 75.0]
    assert dict(edge_rows(found)) == {
        "starts": ["2", "50.0", "50.0", "50.0", "100.0", "+45.0", "45.0"],
        "ends": ["2", "0.0", "0.0", "50.0", "50.0", "+75.0", "125.0"],
        "both": ["4", "25.0", "25.0", "50.0", "75.0", "+45.0", "85.0"],
    }
    assert "2 of 4 words are correct" in found.report() and "+45.0" in found.report()


@given(PAIRS)
@settings(deadline=None)
def test_the_words_with_edges_are_those_that_the_error_count_calls_correct(pairs):
    def spaced(texts):
        return {i: timed(*((w, k, k + 1) for k, w in enumerate(t.split()))) for i, t in texts.items()}

    references, hypotheses = split(pairs)
    found, errors = score_edges(spaced(references), spaced(hypotheses)), score(references, hypotheses)
    assert len(found.words) == errors.total - errors.substitutions - errors.deletions
    assert found.total == errors.total


def test_no_correct_word_and_unknown_ids():
    nothing = score_edges({"u": timed(("one", 0, 1))}, {})
    assert nothing.edges == () and "0 of 1 words" in nothing.report()
    with pytest.raises(CorpusError, match="1 of 1 hypotheses have an id without reference: x"):
        score_edges({"u": []}, {"x": []})
    with pytest.raises(CorpusError, match="no references"):
        score_edges({}, {})


def test_ctm_comes_back(tmp_path):
    from asr.model.transcript import TimedWord, Transcript
    from asr.transcribe.writing import as_ctm

    words = (TimedWord("one", 0.1, 0.4), TimedWord("caf\u00e9", 0.4, 1.25))
    path = tmp_path / "x.ctm"
    path.write_text(";; a comment\n\n" + as_ctm("u1", Transcript("one caf\u00e9", words)), encoding="utf-8")
    found = read_ctm(path)
    assert list(found) == ["u1"]
    assert [w.word for w in found["u1"]] == ["one", "caf\u00e9"]
    assert [t for w in found["u1"] for t in w[1:]] == pytest.approx([0.1, 0.4, 0.4, 1.25])
    path.write_text("b 1 0.5 0.1 late 0.99\na 1 0 1 x\nb 1 0.0 0.1 early\n")
    assert [w.word for w in read_ctm(path)["b"]] == ["early", "late"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"u 1 0.0 0.1\n", "x.ctm:1: 4 fields; need `id channel start duration word`"),
        (b"u 1 0.0 0.1 a\nu 1 zero 0.1 b\n", "x.ctm:2: start and duration are 'zero' and '0.1'; need seconds"),
        (b"u 1 -0.5 0.1 a\n", "x.ctm:1: start -0.5 and duration 0.1; need 0 or more"),
        (b"u 1 nan 0.1 a\n", "x.ctm:1: start nan"),
        (b"u A 0 1 a\nu B 0 1 a\nu-2 1 0 1 a\n", "x.ctm: 'u-2' is channel '1' of 'u-2' and another recording"),
        (b"u 1 0 1 \xff\n", "x.ctm:1: not valid UTF-8"),
        (b";; nothing\n", "x.ctm: holds no words"),
    ],
)
def test_ctm_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "x.ctm"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=re.escape(message)):
        read_ctm(path)
    with pytest.raises(CorpusError, match="cannot be read"):
        read_ctm(tmp_path / "nowhere")


def test_texts_and_lists_of_texts_are_scored_by_their_places():
    assert str(score("a b", "a c")) == str(score({"u": "a b"}, {"u": "a c"}))
    listed = score(["a b", "c"], ("a c", "c d"))
    assert (listed.errors, listed.total, [u.id for u in listed.utterances]) == (2, 3, ["1", "2"])
    with pytest.raises(CorpusError, match="2 references and 1 hypotheses; lists need one for one"):
        score(["a b", "c"], ["a b"])


@pytest.mark.parametrize(
    ("references", "hypotheses", "message"),
    [
        (
            {"a": "x y"},
            {"a": ["x", "z"]},
            r"the hypothesis of 'a' is \['x', 'z'\], of type list; need a text, its words",
        ),
        ({"a": None}, {"a": "x"}, "the reference of 'a' is None, of type NoneType; need a text"),
        ({"a": "x"}, "x", "references have ids and hypotheses none, or the other way round"),
        ([["x", "y"]], [["x", "z"]], "the reference of '1' is .*; need a text"),
        (3, 4, "a reference is of type int; need a dict of id to text, a list, or a text"),
    ],
)
def test_what_is_no_text_is_refused_with_what_to_do(references, hypotheses, message):
    with pytest.raises(TypeError, match=message):
        score(references, hypotheses)
