"""Cues that a person can read, whatever the words; files that players take."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.model.transcript import TimedWord
from asr.transcribe.subtitles import SubtitleOptions, Subtitles, cues

O = SubtitleOptions()  # noqa: E741


def words_at(pauses, *, length=0.3, letters=5):
    found, at = [], 0.0
    for i, pause in enumerate(pauses):
        at += pause
        found.append(TimedWord(f"{i:0{letters}d}", round(at, 3), round(at + length, 3)))
        at += length
    return found


talk = st.lists(
    st.tuples(
        st.text(st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=14),
        st.floats(0.0, 2.5),
        st.floats(0.05, 0.9),
    ),
    max_size=150,
)


@settings(max_examples=150, deadline=None)
@given(talk=talk, sizes=st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_every_word_is_shown_once_in_time_and_in_short_lines(talk, sizes):
    at, words = 0.0, []
    for text, pause, length in talk:
        words.append(TimedWord(text, at + pause, at + pause + length))
        at += pause + length
    found = cues(words)
    assert [word for cue in found for line in cue.lines for word in line.split(" ")] == [w.word for w in words]
    assert all(1 <= len(cue.lines) <= 2 and max(map(len, cue.lines)) <= O.width for cue in found)
    assert all(cue.start < cue.end <= cue.start + O.longest + 1e-6 for cue in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    starts = {w.start for w in words}
    assert all(cue.start in starts for cue in found)
    subtitles, text, at = Subtitles("srt"), "", 0
    while at < len(words):
        for size in sizes:
            text += subtitles.add(words[at : at + size])
            at += size
    text += subtitles.end()  # as they come they may be cut elsewhere, but nothing is lost
    shown = [w for block in text.split("\n\n")[:-1] for line in block.split("\n")[2:] for w in line.split(" ")]
    assert shown == [w.word for w in words]


def test_ordinary_talk_is_shown_for_one_to_seven_seconds_and_cut_in_pauses():
    pauses = [0.0] + [0.05, 0.05, 0.05, 0.05, 0.6] * 30
    words = words_at(pauses)
    found = cues(words)
    durations = [cue.end - cue.start for cue in found]
    assert min(durations) >= 1.0 and max(durations) <= 7.0
    after_pause = {w.start for w, pause in zip(words, pauses, strict=True) if pause > 0.5}
    assert all(cue.start in after_pause for cue in found[1:])
    fast = cues(words_at([0.0] * 80, length=0.12, letters=7))  # more than anybody can read
    assert min(cue.end - cue.start for cue in fast) >= 1.0


def test_a_word_alone_stays_for_a_second_unless_another_follows():
    lonely = [TimedWord("yes", 1.0, 1.2), TimedWord("no", 6.0, 6.1)]
    assert [(c.start, c.end) for c in cues(lonely)] == [(1.0, 2.0), (6.0, 7.0)]
    assert cues([TimedWord("x" * 60, 0.0, 0.5)])[0].lines == ("x" * 60,)
    assert cues([TimedWord("empty", 2.0, 2.0)])[0].end > 2.0
    assert cues([]) == []


def test_srt_and_vtt_files():
    words = [TimedWord("a<b", 3661.5, 3661.9), TimedWord("&", 3662.0, 3662.1)]
    srt, vtt = Subtitles("srt"), Subtitles("vtt")
    assert srt.add(words) + srt.end() == "1\n01:01:01,500 --> 01:01:02,500\na<b &\n\n"
    assert vtt.add(words) + vtt.end() == "WEBVTT\n\n1\n01:01:01.500 --> 01:01:02.500\na&lt;b &amp;\n\n"
    assert Subtitles("vtt").end() == "WEBVTT\n\n" and Subtitles("srt").end() == ""
    with pytest.raises(ValueError, match="srt, vtt"):
        Subtitles("sub")


def test_cues_come_before_the_end_and_are_numbered_on():
    subtitles, early = Subtitles("srt"), ""
    for i in range(20):
        early += subtitles.add([TimedWord(w.word, w.start + 20 * i, w.end + 20 * i) for w in words_at([0.1] * 40)])
    numbers = [int(n) for n in re.findall(r"^(\d+)\n\d\d:", early + subtitles.end(), re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1)) and early.count("-->") > 0.8 * len(numbers)
