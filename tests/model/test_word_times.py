"""Words with times from phone segmentations: worked cases, and all parses of random lexicons enumerated."""

import itertools
import math
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import GraphError
from asr.hmm.transitions import PhoneSegment
from asr.lang.lexicon import Lexicon
from asr.model.word_times import WordSegment, count_pronunciations, word_segments

LEXICON = Lexicon(
    [
        ("a", ("AH",)),
        ("a", ("EY",)),
        ("an", ("AH", "N")),
        ("two", ("T", "UW")),
        ("to", ("T", "UW")),
        ("ten", ("T", "EH", "N")),
        ("!SIL", ("SIL",)),
    ]
)


def segments(text, shift=0):
    """Phones with frames: the i-th phone lasts i + 1 frames."""
    found, frame = [], shift
    for length, phone in enumerate(text.split(), 1):
        found.append(PhoneSegment(LEXICON.phones[phone], frame, frame + length))
        frame += length
    return found


def words(text):
    return [LEXICON.words[word] for word in text.split()]


def times(phones, text, **options):
    return [
        (LEXICON.words.name(w), s, e) for w, s, e, _ in word_segments(segments(phones), words(text), LEXICON, **options)
    ]


def test_words_run_from_their_first_phone_to_their_last():
    assert times("SIL T UW SIL AH N", "two an") == [("two", 1, 6), ("an", 10, 21)]


def test_homophones_follow_the_recognised_words():
    assert times("T UW T UW", "to two") == [("to", 0, 3), ("two", 3, 10)]


def test_prefixes_are_told_apart_by_what_follows():
    assert times("AH N T UW", "an to") == [("an", 0, 3), ("to", 3, 10)]
    with pytest.raises(GraphError, match="1 words fit, then at phone 'N', frame 1"):
        times("AH N T UW", "a to")


def test_every_variant_is_tried():
    assert times("EY AH", "a a") == [("a", 0, 1), ("a", 1, 3)]


def test_a_silence_word_takes_its_silence():
    assert times("SIL AH SIL EY", "a !SIL a") == [("a", 1, 3), ("!SIL", 3, 6), ("a", 6, 10)]


def test_no_words_is_silence_alone_or_nothing():
    assert times("SIL", "") == []
    assert times("", "") == []


def test_a_begun_last_word_ends_with_the_last_phone():
    assert times("AH T EH", "a ten") == [("a", 0, 1), ("ten", 1, 6)]
    with pytest.raises(GraphError, match="do not fit"):
        times("AH T EH", "a ten", unfinished=False)


def test_a_last_word_without_phones_is_empty_at_the_end():
    assert times("AH SIL", "a ten") == [("a", 0, 1), ("ten", 3, 3)]
    assert times("", "ten") == [("ten", 0, 0)]


def test_phones_whose_word_is_not_out_yet_belong_to_no_word():
    assert times("AH SIL T EH", "a") == [("a", 0, 1)]
    assert times("T UW SIL", "") == []
    with pytest.raises(GraphError, match="no word is left"):
        times("T UW SIL", "", unfinished=False)


def test_what_does_not_fit_is_an_error_that_says_where():
    with pytest.raises(GraphError, match=r"1 words fit, then at phone 'AH', frame 3, word 2 of 2 is 'two'"):
        times("T UW AH N", "to two")
    with pytest.raises(GraphError, match="do not fit together"):
        times("N T UW", "to")


def parses(phones, word_ids, lexicon):
    """All ways to lay the words over the phones, by enumeration: every variant, every set of skipped silences.

    Each as (start, end, pronunciation) for every word, with the probability of the pronunciations.
    """
    found = {}
    for numbers in itertools.product(*(range(len(lexicon.pronunciations(w))) for w in word_ids)):
        variants = [lexicon.pronunciations(w)[n] for w, n in zip(word_ids, numbers, strict=True)]
        probability = math.prod(lexicon.entries_of(w)[n].probability for w, n in zip(word_ids, numbers, strict=True))
        n_silences = len(phones) - sum(map(len, variants))
        if n_silences < 0:
            continue
        for gaps in itertools.product(range(n_silences + 1), repeat=len(variants) + 1):
            if sum(gaps) != n_silences:
                continue
            laid, spans = [lexicon.silence_id] * gaps[0], []
            for variant, gap, n in zip(variants, gaps[1:], numbers, strict=True):
                spans.append((len(laid), len(laid) + len(variant), n))
                laid += [*variant, *[lexicon.silence_id] * gap]
            if laid == phones:
                found[tuple(spans)] = probability
    return found


def test_likelier_pronunciations_win_and_without_probabilities_the_later_word_is_longer():
    entries = [("a", ("A",)), ("a", ("A", "B")), ("b", ("C",)), ("b", ("B", "C"))]
    plain = Lexicon(entries)
    numbered = [PhoneSegment(plain.phones[p], i, i + 1) for i, p in enumerate("ABC")]
    assert word_segments(numbered, [1, 2], plain) == [(1, 0, 1, 0), (2, 1, 3, 1)]
    likelier = Lexicon([(*e, p) for e, p in zip(entries, (1.0, 0.5, 1.0, 0.4), strict=True)])
    assert word_segments(numbered, [1, 2], likelier) == [(1, 0, 2, 1), (2, 2, 3, 0)]


def test_a_word_that_has_only_begun_has_no_pronunciation_yet():
    assert word_segments(segments("AH T EH"), words("a ten"), LEXICON)[1].pronunciation is None
    assert word_segments(segments("AH"), words("a ten"), LEXICON)[1].pronunciation is None


def test_pronunciations_are_counted_by_word_and_phones():
    """Alignments of one frame a phone, so that transition ids stand for phones."""
    transitions = SimpleNamespace(phone_segments=lambda ids: [PhoneSegment(p, i, i + 1) for i, p in enumerate(ids)])
    phones = ("SIL", "EY", "AH", "N", "SIL", "EY")
    alignments = {"u1": [LEXICON.phones[p] for p in phones], "u2": [LEXICON.phones["AH"]]}
    transcripts = {"u1": words("a an a"), "u2": words("a"), "u3": words("ten")}
    counts = count_pronunciations(alignments, transcripts, LEXICON, transitions)
    assert counts == {("a", ("EY",)): 2, ("an", ("AH", "N")): 1, ("a", ("AH",)): 1}
    assert LEXICON.estimate_probabilities(counts).entries[:2] == (("a", ("AH",), 2 / 3), ("a", ("EY",), 1.0))
    for wrong, message in (({"u2": words("two")}, "utterance 'u2': .*do not fit"), ({}, "'u2' has an alignment, but")):
        with pytest.raises(GraphError, match=message):
            count_pronunciations({"u2": alignments["u2"]}, wrong, LEXICON, transitions)


PHONE = st.sampled_from(["A", "B"])
PRONUNCIATION = st.one_of(st.lists(PHONE, min_size=1, max_size=3).map(tuple), st.just(("SIL",)))
PROBABILITY = st.sampled_from([1.0, 0.5, 0.25, 0.01])
ENTRIES = st.lists(
    st.tuples(st.sampled_from("uvw"), PRONUNCIATION, PROBABILITY),
    min_size=2,
    max_size=6,
    unique_by=lambda entry: entry[:2],
)
LEXICONS = st.builds(Lexicon, ENTRIES, position_dependent=st.booleans())


def check_parse(found, possible):
    """The parse is among the likeliest of all possible ones, and the only one where phones have positions."""
    parse = tuple((segment.start, segment.end, segment.pronunciation) for segment in found)
    assert possible[parse] == pytest.approx(max(possible.values()))


@st.composite
def spoken(draw):
    """A lexicon, words, and the phones of one way to say them with pauses."""
    lexicon = draw(LEXICONS)
    word_ids = draw(st.lists(st.integers(1, lexicon.n_words), max_size=4))
    phones = [1] * draw(st.integers(0, 1))
    for word in word_ids:
        phones += [*draw(st.sampled_from(lexicon.pronunciations(word))), *[1] * draw(st.integers(0, 1))]
    return lexicon, word_ids, phones


@settings(max_examples=300, deadline=None)
@given(spoken())
def test_what_was_spoken_is_parsed_as_one_of_all_possible_parses(case):
    lexicon, word_ids, phones = case
    found = word_segments(
        [PhoneSegment(p, i, i + 1) for i, p in enumerate(phones)], word_ids, lexicon, unfinished=False
    )
    possible = parses(phones, word_ids, lexicon)
    assert [segment.word_id for segment in found] == word_ids
    check_parse(found, possible)
    if lexicon.position_dependent and not any("SIL" in entry.phones for entry in lexicon.entries):
        assert len(possible) == 1


@settings(max_examples=300, deadline=None)
@given(LEXICONS, st.data())
def test_any_phones_are_parsed_exactly_if_a_parse_exists(lexicon, data):
    word_ids = data.draw(st.lists(st.integers(1, lexicon.n_words), max_size=3))
    phones = data.draw(st.lists(st.integers(1, lexicon.n_phones), max_size=6))
    numbered = [PhoneSegment(p, i, i + 1) for i, p in enumerate(phones)]
    possible = parses(phones, word_ids, lexicon)
    if not possible:
        with pytest.raises(GraphError):
            word_segments(numbered, word_ids, lexicon, unfinished=False)
        return
    found = word_segments(numbered, word_ids, lexicon)
    check_parse(found, possible)


@settings(max_examples=300, deadline=None)
@given(spoken(), st.data())
def test_any_beginning_of_what_was_spoken_is_accepted_with_its_label_late_or_early(case, data):
    """Cut the phones anywhere; the labels out are those of the words begun, give or take the one being said."""
    lexicon, word_ids, phones = case
    cut = data.draw(st.integers(0, len(phones)))
    numbered = [PhoneSegment(p, i, i + 1) for i, p in enumerate(phones)]
    whole = word_segments(numbered, word_ids, lexicon, unfinished=False)
    complete = sum(segment.end <= cut for segment in whole)
    labels = word_ids[: complete + data.draw(st.integers(0, 1))]
    found = word_segments(numbered[:cut], labels, lexicon)
    assert [segment.word_id for segment in found] == labels
    assert all(0 <= s.start <= s.end <= cut for s in found)
    assert all(a.end <= b.start for a, b in itertools.pairwise(found))


def test_long_input_is_quick_and_not_recursive():
    phones = [PhoneSegment(LEXICON.phones[p], i, i + 1) for i, p in enumerate(["AH", "N", "SIL"] * 5000)]
    found = word_segments(phones, words("an") * 5000, LEXICON)
    assert found[-1] == WordSegment(LEXICON.words["an"], 14997, 14999, 0)
