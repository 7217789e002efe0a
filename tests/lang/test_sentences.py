"""Sentences out of running text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.lang.sentences import Sentences, are_wrapped, is_heading

# Each line is a paragraph, with | where a sentence ends.
PARAGRAPHS = {
    "en": r"""
Mr. Holl saw Dr. J. M. Smith at St. Vincent's Square.| He was late!| "Why?" Ann asked.
"Splendid! isn't it, mother?| But there are too many."| She ran.
"Run!" cried the boy.| "They come."
"What is all that noise about?" the cripple exclaimed.
He paid 3.50 at 10 a.m. and left.| It rained...| No. 12 was empty.| "No."| Then he went.
It came to $5.| Twenty men, e.g. Tom and i.e. the Captain, saw it.| So did I.| The end came on Jan. 5.
1. The first of these.| The second.
He said (and meant it.)| Then [so it is told] he slept.| _Never_ again.| 'Tis true.
Well... perhaps.| Was it?!| "Yes."| "No?"| Mrs. Barthwick vs. Holl, vol. 3, p. 12.
The U.S. Army came.| At last!
""",
    "de": r"""
Am 3. Mai kam Hr. Dr. Braun.| Es regnete.| Das war z.B. Anna bekannt.
""",
    "fr": r"""
M. Dupont et Mme. Leroy sont là.| «Pourquoi ?»| Il pleut.
""",
    "": r"""
これは文です。|次の文です！|終わり
مرحبا بك؟| كيف حالك؟| شكرا
""",
}


@pytest.mark.parametrize("language", PARAGRAPHS)
def test_paragraphs_are_cut_where_sentences_end(language):
    cutter = Sentences(language)
    for line in PARAGRAPHS[language].strip().splitlines():
        expected = [part.strip() for part in line.split("|")]
        glue = "" if "。" in line else " "
        assert list(cutter.cut(glue.join(expected))) == expected


BOOK = """\
THE STORM

by A. Writer

_With twelve illustrations_


CHAPTER I.

It was a dark and stormy night; the rain fell in well-
known torrents. Mr. Smith
stood at the window. [Illustration: HE STOOD]
"Is it late?" he
asked.[12]

* * * * *

II

The end.
"""


def test_wrapped_lines_are_put_together_and_headings_left_out():
    cutter = Sentences("en")
    assert list(cutter(BOOK.splitlines())) == [
        "by A. Writer",
        "_With twelve illustrations_",
        "It was a dark and stormy night; the rain fell in well-known torrents.",
        "Mr. Smith stood at the window.",
        '"Is it late?" he asked.',
        "The end.",
    ]
    assert dict(cutter.counts) == {"paragraphs": 8, "headings": 3, "marks": 2, "sentences": 6}
    kept = list(Sentences("en", headings=True)(BOOK.splitlines()))
    assert [kept[0], kept[3], kept[-2]] == ["THE STORM", "CHAPTER I.", "II"] and len(kept) == 9


def test_lines_that_are_paragraphs_stay_apart_unless_told():
    lines = ["It was dark.", "Ann came", "Bob went."]
    assert list(Sentences("en")(lines)) == lines
    assert list(Sentences("en", lines="wrapped")(lines)) == ["It was dark.", "Ann came Bob went."]
    assert not are_wrapped(lines) and not are_wrapped([]) and are_wrapped(BOOK.splitlines())
    assert list(Sentences("en", lines="paragraphs")(["a b", "c d."])) == ["a b", "c d."]


def test_names_of_speakers_are_no_sentences():
    assert list(Sentences("en")(["TIMSON. [From the street.] Take her in."])) == ["[From the street.]", "Take her in."]


def test_headings_by_their_look():
    assert all(map(is_heading, ("CHAPTER XII", "Chapter 3. The Storm", "Act II", "IV.", "THE TWO MEN MEET", "14")))
    assert not any(
        map(is_heading, ("FIRE!", '"FIRE," HE SAID', "Chapter and verse were quoted.", "A. B.", "OK", "これ"))
    )


@given(st.lists(st.text("aA.!? \"'[]-1\n", max_size=40), max_size=8))
def test_no_word_is_lost_or_added(lines):
    lines = [line.replace("\n", " ") for line in lines]
    for how in ("auto", "wrapped", "paragraphs"):
        found = "".join(Sentences("en", lines=how, headings=True)(lines))
        expected = re.sub(r"\[[aA]\]", "", " ".join(line.strip() for line in lines))
        assert [x for x in found if x in "aA"] == [x for x in expected if x in "aA"]


def test_an_unknown_language_or_way_is_refused():
    with pytest.raises(ConfigError, match="no code of a language"):
        Sentences("english")
    with pytest.raises(ValueError, match="lines='any'; need one of auto, wrapped, paragraphs"):
        Sentences("en", lines="any")
