"""Cutting a lexicon into graphones: expectation-maximisation against enumeration of all cuts, and planted spellings."""

import itertools
import logging
import math
import unicodedata
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asr.errors import LexiconError
from asr.lang.entries import Entry
from asr.lang.g2p import Graphone, cut_lexicon
from asr.lang.g2p.graphones import CHUNKS, letters_of


def all_cuts(entry, chunks=CHUNKS):
    """Every way to cut an entry, found by trying."""

    def cuts(letters, phones):
        if not letters and not phones:
            yield ()
        for a, b in chunks:
            if a <= len(letters) and b <= len(phones):
                for rest in cuts(letters[a:], phones[b:]):
                    yield (Graphone(letters[:a], phones[:b]), *rest)

    return list(cuts(tuple(letters_of(entry.word)), entry.phones))


def em_by_enumeration(entries, n_iterations, chunks=CHUNKS):
    """Probabilities of graphones and the log-likelihoods on the way."""
    options = [all_cuts(entry, chunks) for entry in entries]
    names = {g for entry in entries for g in possible(entry, chunks)}
    probs, history = dict.fromkeys(names, 1 / len(names)), []
    for _ in range(n_iterations):
        counts, total = Counter(), 0.0
        for cuts in filter(None, options):
            weights = [math.prod(probs.get(g, 0.0) * weight(g) for g in cut) for cut in cuts]
            total += math.log(sum(weights))
            for cut, share in zip(cuts, weights, strict=True):
                for g in cut:
                    counts[g] += share / sum(weights)
        history.append(total)
        probs = {g: n / sum(counts.values()) for g, n in counts.items()}
    return probs, history


def weight(graphone):
    """The fixed weight of a graphone's shape."""
    return 1.0 if list(map(len, graphone)) == [1, 1] else math.exp(-3)


def possible(entry, chunks):
    """All graphones of the sizes that parts of an entry make."""
    letters, phones = tuple(letters_of(entry.word)), entry.phones
    for a, b in chunks:
        for i, j in itertools.product(range(len(letters) - a + 1), range(len(phones) - b + 1)):
            yield Graphone(letters[i : i + a], phones[j : j + b])


WORDS = st.lists(
    st.builds(
        lambda word, phones: Entry(word, tuple(phones)),
        st.text("abc", min_size=1, max_size=4),
        st.lists(st.sampled_from(["A", "B", "K"]), min_size=1, max_size=4),
    ),
    min_size=1,
    max_size=5,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(WORDS, st.integers(1, 4))
def test_likelihoods_equal_enumeration_and_never_fall(entries, n_iterations):
    if not any(map(all_cuts, entries)):
        with pytest.raises(LexiconError, match="can be cut"):
            cut_lexicon(entries)
        return
    cuts = cut_lexicon(entries, n_iterations=n_iterations, tolerance=-1.0)
    probs, history = em_by_enumeration(entries, n_iterations)
    assert cuts.log_likelihoods == pytest.approx(history, rel=1e-9, abs=1e-9)
    assert all(b >= a - 1e-9 for a, b in itertools.pairwise(history))
    assert list(cuts.uncut) == [entry for entry in entries if not all_cuts(entry)]
    for entry, sequence in zip(cuts.entries, cuts.sequences, strict=True):
        found = tuple(cuts.graphones[i] for i in sequence)
        options = all_cuts(entry)
        assert found in options
        best = max(penalised(cut, probs) for cut in options)
        assert penalised(found, probs) == pytest.approx(best, rel=1e-9, abs=1e-9)


def penalised(cut, probs):
    """The score by which the best cut is chosen: each graphone counts as often as its longer side is long."""
    return sum(math.log(probs[g]) * max(map(len, g)) if probs.get(g, 0) > 1e-300 else -math.inf for g in cut)


def test_other_chunks():
    entries = [Entry("abc", ("A",)), Entry("ab", ("A", "B", "K"))]
    chunks = ((1, 1), (3, 1), (1, 2))
    cuts = cut_lexicon(entries, chunks=chunks, n_iterations=3, tolerance=-1.0)
    assert cuts.log_likelihoods == pytest.approx(em_by_enumeration(entries, 3, chunks)[1], rel=1e-9)
    assert [cuts.graphones[i].name for i in cuts.sequences[0]] == ["a|b|c}A"]


def test_planted_spellings_are_found():
    rng = np.random.default_rng(3)
    planted = {"sh": "SH", "a": "AA", "e": "EH", "n": "N", "ng": "NG", "x": "K S", "t": "T", "m": "M", "k": "K"}
    spellings = sorted(planted)
    entries, truth = [], []
    for _ in range(600):
        parts = rng.choice(spellings, rng.integers(2, 6)).tolist()
        if any(left + right in planted for left, right in itertools.pairwise(parts)):
            continue
        entries.append(Entry("".join(parts), tuple(" ".join(planted[p] for p in parts).split())))
        truth.append([Graphone(tuple(p), tuple(planted[p].split())) for p in parts])
    cuts = cut_lexicon(entries)
    by_entry = {e: [cuts.graphones[i] for i in s] for e, s in zip(cuts.entries, cuts.sequences, strict=True)}
    right = sum(by_entry[entry] == expected for entry, expected in zip(entries, truth, strict=True))
    assert len(entries) > 400 and right > 0.98 * len(entries)


def test_a_small_regular_lexicon_is_cut_letter_by_letter():
    entries = [Entry(a + v + b, (a.upper(), v.upper(), b.upper())) for a in "btmk" for v in "aio" for b in "tkm"]
    assert {tuple(map(len, g)) for g in cut_lexicon(entries).graphones} == {(1, 1)}


def test_what_cannot_be_cut_is_left_out_and_said(caplog):
    with caplog.at_level(logging.WARNING):
        cuts = cut_lexicon([Entry("ab", ("A", "B")), Entry("w", ("D", "AH", "B")), Entry("b", ("B",))])
    assert [entry.word for entry in cuts.entries] == ["ab", "b"] and cuts.uncut[0].word == "w"
    assert "1 of 3 entries cannot be cut into graphones and are left out: 'w' (D AH B)" in caplog.text
    with pytest.raises(LexiconError, match="none of the 1 entries"):
        cut_lexicon([Entry("w", ("D", "AH", "B"))])
    with pytest.raises(LexiconError, match="none of the 0 entries"):
        cut_lexicon([])
    with pytest.raises(LexiconError, match="need pairs of 1 or more letters"):
        cut_lexicon([Entry("a", ("A",))], chunks=((0, 1),))


@given(st.lists(st.text(min_size=1, max_size=2).filter(lambda s: len(s.split()) == 1), min_size=1, max_size=3))
def test_names_go_there_and_back(parts):
    for graphone in (Graphone(tuple(parts), ()), Graphone(("a",), tuple(parts)), Graphone(tuple(parts), tuple(parts))):
        name = graphone.name
        assert Graphone.named(name) == graphone and len(name.split()) == 1
        assert Graphone.named(unicodedata.normalize("NFC", name)) == graphone
    with pytest.raises(ValueError, match="not a graphone"):
        Graphone.named("a")


def test_large_lexicons_are_looked_at_in_blocks(monkeypatch):
    entries = [Entry(a + b, (a.upper(), b.upper())) for a in "abcdef" for b in "abcdef"]
    whole = cut_lexicon(entries)
    monkeypatch.setattr("asr.lang.g2p.graphones._BLOCK", 50)
    blocks = cut_lexicon(entries)
    assert blocks.graphones == whole.graphones and blocks.log_likelihoods == whole.log_likelihoods
    assert all((a == b).all() for a, b in zip(blocks.sequences, whole.sequences, strict=True))
