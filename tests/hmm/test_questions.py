from itertools import combinations

import numpy as np
import pytest

from asr.errors import LexiconError
from asr.hmm.questions import clustered_questions, position_questions, read_questions, two_means
from asr.hmm.tree_statistics import TreeStatistics, log_likelihood
from asr.lang.lexicon import Lexicon
from asr.lang.symbols import SymbolTable


def sums_of(centres, rng, n_frames=50):
    rows = []
    for centre in centres:
        x = np.asarray(centre) + rng.normal(size=(n_frames, len(centre)))
        rows.append(np.concatenate([[n_frames], x.sum(axis=0), (x * x).sum(axis=0)]))
    return np.array(rows)


@pytest.mark.parametrize("seed", range(5))
def test_two_means_finds_the_best_of_all_partitions(seed):
    rng = np.random.default_rng(seed)
    sums = sums_of(rng.normal(size=(7, 3)) * 2, rng)
    total = sums.sum(axis=0)

    def score(first):
        inside = sums[list(first)].sum(axis=0)
        return log_likelihood(inside) + log_likelihood(total - inside)

    best = max(score(first) for size in range(1, 7) for first in combinations(range(7), size))
    found = two_means(sums, rng)
    assert 0 < found.sum() < 7
    assert score(np.flatnonzero(found)) == pytest.approx(best, rel=1e-12)


def statistics_of(centre_of_phone, rng):
    """Two windows for each phone; pdf class 0 says nothing, class 1 has the phone's centre."""
    rows = [(0, p, q) for p in centre_of_phone for q in (0, 3)]
    windows = np.array(rows + rows, np.int32)
    classes = np.array([0] * len(rows) + [1] * len(rows), np.int32)
    centres = [np.zeros(2)] * len(rows) + [centre_of_phone[p] for _, p, _ in rows]
    return TreeStatistics(windows, classes, sums_of(centres, rng), 1)


def test_clustering_recovers_planted_classes():
    rng = np.random.default_rng(0)
    centres = {2: (9, 0), 3: (10, 0), 4: (-9, 0), 5: (-10, 1), 6: (-9, 5), 7: (9, 6)}
    found = clustered_questions(statistics_of(centres, rng), [[p] for p in centres], rng)
    assert found[0] == (2, 3, 4, 5, 6, 7)
    assert {(2, 3, 7), (4, 5, 6), (2, 3), (4, 5)} < set(found)
    assert {(p,) for p in centres} < set(found)
    for a, b in combinations(map(set, found), 2):
        assert a <= b or b <= a or not a & b
    assert len(found) == 2 * len(centres) - 1


def test_sets_stay_together_and_unseen_phones_are_left_out():
    rng = np.random.default_rng(1)
    centres = {2: (5, 0), 3: (-5, 0), 4: (0, 4)}
    found = clustered_questions(statistics_of(centres, rng), [[2, 3], [4], [8, 9]], rng)
    assert found == [(2, 3, 4), (2, 3), (4,)]


def test_classes_that_nobody_has_fall_back_to_all():
    rng = np.random.default_rng(1)
    statistics = statistics_of({2: (5, 0), 3: (-5, 0), 4: (-5, 2)}, rng)
    found = clustered_questions(statistics, [[2], [3], [4]], rng, pdf_classes=[7])
    assert (3, 4) in found


def test_places_in_a_word_are_asked_for():
    words = [("ab", ("A", "B")), ("a", ("A",))]
    assert position_questions(Lexicon(words)) == []
    lexicon = Lexicon(words, position_dependent=True)
    named = [{lexicon.phones.name(p) for p in question} for question in position_questions(lexicon)]
    assert sorted(map(sorted, named)) == [[f"A_{place}", f"B_{place}"] for place in "BEIS"]


def test_questions_of_a_file(tmp_path):
    phones = SymbolTable(["<eps>", "SIL", "AA_B", "AA_E", "IY_B", "IY_E", "#0"])
    path = tmp_path / "questions.txt"
    path.write_text("AA # all its positions\n\nIY_B SIL\nAA_B AA_E\n", encoding="utf-8")
    assert read_questions(path, phones) == [(2, 3), (1, 4)]
    path.write_text("AA\nIX\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=r"questions.txt:2: phone 'IX' is not among"):
        read_questions(path, phones)
    path.write_text("<eps>\n", encoding="utf-8")
    with pytest.raises(LexiconError, match=":1: phone '<eps>'"):
        read_questions(path, phones)
    path.write_bytes(b"AA\n\xff\n")
    with pytest.raises(LexiconError, match=":2: not valid UTF-8"):
        read_questions(path, phones)
