from itertools import product

import numpy as np
import pytest

from asr.errors import ModelError
from asr.hmm.questions import clustered_questions
from asr.hmm.tree_building import RootSpec, TreeOptions, grow_tree, joined
from asr.hmm.tree_statistics import TreeStatistics, log_likelihood

SILENCE, VOWELS, CONSONANTS = 1, (2, 3, 4), (5, 6, 7)
PHONES = (SILENCE, *VOWELS, *CONSONANTS)
N_CLASSES = {1: 5, **dict.fromkeys(PHONES[1:], 3)}
ROOTS = [RootSpec((1,), shared=False, split=False), *(RootSpec((p,)) for p in PHONES[1:])]
NEVER = {"cluster_gain": 0.0}


def row(frames):
    return np.concatenate([[len(frames)], frames.sum(axis=0), (frames**2).sum(axis=0)])


def planted(rng, *, missing=0.3, n_frames=40):
    """Statistics whose distribution depends on the phone, its class and on whether a vowel or a consonant is beside it.

    Classes 0 and 1 look to the left, class 2 to the right. A share of the contexts is not seen.
    """

    def kind(phone):
        return 0 if phone in VOWELS else 1 if phone in CONSONANTS else 2

    centres, keys, rows = {}, [], []
    for left, phone, right in product((0, *PHONES), PHONES, (0, *PHONES)):
        for pdf_class in range(N_CLASSES[phone]):
            if phone == SILENCE:
                left = right = 0
            elif rng.random() < missing:
                continue
            beside = left if pdf_class < 2 else right
            tied = (phone, pdf_class, kind(beside) if phone != SILENCE else 0)
            centre = centres.setdefault(tied, rng.normal(size=4) * 3)
            if (key := (left, phone, right, pdf_class)) not in keys:
                keys.append(key)
                rows.append(row(centre + rng.normal(size=(n_frames, 4))))
    keys = np.array(keys, np.int32)
    return TreeStatistics(keys[:, :3], keys[:, 3], np.array(rows), 1), len(centres), kind


@pytest.mark.parametrize("seed", range(3))
def test_planted_tying_is_recovered(seed):
    rng = np.random.default_rng(seed)
    statistics, n_tied, kind = planted(rng)
    questions = [VOWELS, CONSONANTS, *((p,) for p in PHONES)]
    grown = grow_tree(statistics, questions, ROOTS, N_CLASSES, TreeOptions(cluster_gain=40.0))
    assert grown.n_split_leaves > grown.tree.n_pdfs == n_tied  # a question too many is put right by joining
    pdf_of = {}
    for left, phone, right in product((0, *PHONES), PHONES, (0, *PHONES)):  # contexts that were not seen as well
        for pdf_class in range(N_CLASSES[phone]):
            beside = 0 if phone == SILENCE else kind(left if pdf_class < 2 else right)
            pdf = grown.tree.pdf((left, phone, right), pdf_class)
            assert pdf_of.setdefault((phone, pdf_class, beside), pdf) == pdf
    assert len(set(pdf_of.values())) == n_tied


def test_clustered_questions_recover_it_too():
    rng = np.random.default_rng(5)
    statistics, n_tied, _ = planted(rng)
    questions = clustered_questions(statistics, [[p] for p in PHONES], rng)
    # Phones cluster by their own sound here, not by the class that their neighbours tell: single phones ask for it.
    grown = grow_tree(statistics, questions, ROOTS, N_CLASSES, TreeOptions())
    assert grown.n_split_leaves > n_tied and abs(grown.tree.n_pdfs - n_tied) <= 0.1 * n_tied


def brute_force(statistics, questions, roots, n_pdf_classes, max_leaves, min_gain, min_count):
    """The gains of greedy splitting, with sets of rows, one question after another."""
    sums, columns = statistics.sums, [*statistics.windows.T, statistics.pdf_class]
    below = [tuple(range(k)) for k in range(1, max(n_pdf_classes.values()))]
    asked = [(c, set(q)) for c in range(len(columns) - 1) for q in questions] + [
        (len(columns) - 1, set(q)) for q in below
    ]

    def best(rows):
        total, found = log_likelihood(sums[rows].sum(axis=0)), (-1.0, None, None)
        for c, question in asked:
            yes = [r for r in rows if columns[c][r] in question]
            no = [r for r in rows if columns[c][r] not in question]
            if min(sums[yes, 0].sum(), sums[no, 0].sum()) <= min_count:
                continue
            gain = log_likelihood(sums[yes].sum(axis=0)) + log_likelihood(sums[no].sum(axis=0)) - total
            found = max(found, (gain, yes, no), key=lambda f: f[0])
        return found

    leaves, gains, fixed = [], [], 0
    for spec in roots:
        n = max(n_pdf_classes[p] for p in spec.phones)
        for classes in [range(n)] if spec.shared else [[c] for c in range(n)]:
            here = np.isin(columns[1], spec.phones) & np.isin(columns[-1], list(classes))
            if spec.split:
                leaves.append(best(np.flatnonzero(here).tolist()))
            else:
                fixed += 1
    while leaves and len(leaves) + fixed < max_leaves:
        split = max(leaves, key=lambda f: f[0])
        if split[0] < min_gain:
            break
        leaves.remove(split)
        gains.append(split[0])
        leaves += [best(split[1]), best(split[2])]
    return gains


@pytest.mark.parametrize(
    ("max_leaves", "min_gain", "min_count"), [(1000, 20.0, 0.0), (25, 0.0, 0.0), (1000, 5.0, 120.0)]
)
def test_splits_equal_brute_force(max_leaves, min_gain, min_count):
    rng = np.random.default_rng(7)
    keys = np.array(list({tuple(k) for k in rng.integers(1, 5, (60, 4)).tolist()}), np.int32)
    sums = np.array([row(rng.normal(size=(int(n), 2)) + rng.normal(size=2)) for n in rng.integers(1, 80, len(keys))])
    statistics = TreeStatistics(keys[:, :3], keys[:, 3] - 1, sums, 1)
    questions, n_classes = [(1, 2), (2, 3), (1,), (4,), (3,)], {1: 4, 2: 4, 3: 4, 4: 4}
    roots = [RootSpec((1, 2)), RootSpec((3,), shared=False), RootSpec((4,), split=False)]
    expected = brute_force(statistics, questions, roots, n_classes, max_leaves, min_gain, min_count)
    options = TreeOptions(max_leaves=max_leaves, min_gain=min_gain, min_count=min_count, **NEVER)
    grown = grow_tree(statistics, questions, roots, n_classes, options)
    np.testing.assert_allclose(grown.gains, expected, rtol=1e-9)
    assert len(expected) > 4 and min(grown.gains) >= 0
    assert grown.tree.n_pdfs == grown.n_split_leaves <= max_leaves


def test_gains_are_the_likelihood_gained():
    statistics, *_ = planted(np.random.default_rng(2))
    for cluster_gain in (0.0, None, 2000.0):
        options = TreeOptions(max_leaves=60, cluster_gain=cluster_gain)
        grown = grow_tree(statistics, [VOWELS, (2,), (5, 6)], ROOTS, N_CLASSES, options)
        rows = grown.tree.pdfs(statistics.windows, statistics.pdf_class)
        sums = np.array([statistics.sums[rows == pdf].sum(axis=0) for pdf in range(grown.tree.n_pdfs)])
        np.testing.assert_allclose(grown.leaf_sums, sums, rtol=1e-9)
        before = 0.0
        for phone in PHONES:
            of_phone = statistics.phones == phone
            for pdf_class in range(5) if phone == SILENCE else [None]:
                rows = of_phone & (statistics.pdf_class == pdf_class) if phone == SILENCE else of_phone
                before += float(log_likelihood(statistics.sums[rows].sum(axis=0)))
        gained = float(log_likelihood(sums).sum()) - before
        assert grown.gain * grown.n_frames == pytest.approx(gained, rel=1e-9)
        assert (grown.joining_cost > 0) == (cluster_gain != 0.0)
    assert grown.tree.n_pdfs < 40


def test_joining_takes_the_cheapest_pair_each_time():
    rng = np.random.default_rng(3)
    sums = np.array([row(rng.normal(size=(int(n), 3)) + rng.normal(size=3)) for n in rng.integers(5, 60, 12)])
    for limit in (5.0, 40.0, 1e9):
        groups, lost = [[i] for i in range(12)], 0.0
        while len(groups) > 1:
            score = lambda g: float(log_likelihood(sums[g].sum(axis=0)))  # noqa: E731
            pairs = [
                (score(a) + score(b) - score(a + b), i, j)
                for i, a in enumerate(groups)
                for j, b in enumerate(groups)
                if i < j
            ]
            cost, i, j = min(pairs)
            if cost >= limit:
                break
            lost += cost
            groups[i] += groups.pop(j)
        leader, found = joined(sums, limit)
        assert found == pytest.approx(lost, rel=1e-9)
        assert sorted(sorted(np.flatnonzero(leader == x).tolist()) for x in np.unique(leader)) == sorted(
            map(sorted, groups)
        )


def test_phones_never_seen_have_leaves():
    statistics, *_ = planted(np.random.default_rng(4))
    roots = [*ROOTS, RootSpec((8,), shared=False), RootSpec((9,))]
    grown = grow_tree(statistics, [VOWELS], roots, {**N_CLASSES, 8: 3, 9: 3})
    assert len({grown.tree.pdf((2, 8, 3), c) for c in range(3)}) == 3
    assert grown.leaf_sums[grown.tree.pdf((0, 9, 0), 1), 0] == 0


def test_wrong_roots_and_options_are_named():
    statistics, *_ = planted(np.random.default_rng(4))
    with pytest.raises(ModelError, match="phone id 7 is in more than one root"):
        grow_tree(statistics, [], [*ROOTS, RootSpec((7,))], N_CLASSES)
    with pytest.raises(ModelError, match=r"in no root: \[7\]"):
        grow_tree(statistics, [], ROOTS[:-1], N_CLASSES)
    with pytest.raises(ModelError, match=r"without number of pdf classes: \[9\]"):
        grow_tree(statistics, [], [*ROOTS, RootSpec((9,))], N_CLASSES)
    with pytest.raises(ModelError, match="there is none"):
        grow_tree(statistics, [], [], N_CLASSES)
    for wrong in ({"max_leaves": 0}, {"min_gain": -1.0}, {"min_count": float("nan")}, {"variance_floor": 0.0}):
        with pytest.raises(ModelError, match=next(iter(wrong))):
            TreeOptions(**wrong)


def test_too_few_leaves_are_said(caplog):
    statistics, *_ = planted(np.random.default_rng(4))
    grown = grow_tree(statistics, [VOWELS], ROOTS, N_CLASSES, TreeOptions(max_leaves=3))
    assert grown.gains == () and grown.tree.n_pdfs == 5 + 6 and "below the 11 roots" in caplog.text
