"""Oracles, pruning, scales and pictures of word lattices, against lists of all their sequences."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from asr.lattice import WordLattice


def edits(a, b):
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(diagonal + (x != y), row[j] + 1, row[j - 1] + 1)
    return row[-1]


def test_the_oracle_is_the_nearest_of_all_sequences(lattices):
    rng = np.random.default_rng(1)
    for _, _, lattice, _ in lattices:
        words = WordLattice.of(lattice, 4.0)
        all_of_them = list(words.sequences())
        for _ in range(3):
            reference = rng.integers(1, 7, int(rng.integers(0, 6))).tolist()
            found = words.oracle(reference)
            distances = [edits(sequence, reference) for sequence, _ in all_of_them]
            assert found.errors == min(distances) == edits(found.words, reference)
            assert found.n_words == len(reference)
            best = min(cost for (_, cost), d in zip(all_of_them, distances, strict=True) if d == found.errors)
            assert found.cost == pytest.approx(best, abs=1e-6)


def test_pruning_leaves_the_sequences_within_the_beam(lattices):
    for _, _, lattice, _ in lattices:
        words = WordLattice.of(lattice, 4.0)
        before = list(words.sequences())
        after = {tuple(s): cost for s, cost in words.prune(1.5).sequences()}
        for sequence, cost in before:
            if cost <= before[0][1] + 1.5 - 1e-6:
                assert after[tuple(sequence)] == pytest.approx(cost)
        assert after.keys() <= {tuple(s) for s, _ in before}
        assert len(words.prune(0.0).arcs) <= len(words.arcs)
    with pytest.raises(ValueError, match="beam=-1"):
        words.prune(-1)


def test_scales_multiply_the_two_costs_of_each_path(lattices):
    for _, _, lattice, _ in lattices[:80]:
        words = WordLattice.of(lattice, 4.0)
        before = {tuple(p.words.tolist()): p for p in words.nbest(1000)}
        for path in words.rescale(graph=0.5, acoustic=3.0).nbest(1000):
            old = before.pop(tuple(path.words.tolist()))
            assert path.score == pytest.approx(0.5 * old.graph_score + 3.0 * old.acoustic_score, abs=1e-4)
            assert path.acoustic_score == pytest.approx(3.0 * old.acoustic_score, abs=1e-4)
            assert (path.labels == old.labels).all()
        assert not before
        scaled = lattice.rescale(graph=0.5, acoustic=3.0)
        assert scaled.arcs["graph"] == pytest.approx(0.5 * lattice.arcs["graph"])
        assert scaled.arcs["acoustic"] == pytest.approx(3.0 * lattice.arcs["acoustic"])
    assert np.isinf(words.rescale(acoustic=0.0).finals).sum() == np.isinf(words.finals).sum()
    with pytest.raises(ValueError, match="acoustic=-1"):
        words.rescale(acoustic=-1)


def test_a_picture_has_each_arc_once_and_no_two_labels_on_one_place(lattices):
    names = ["", "<a&b>", "b", "c", "d", "e"]
    for _, _, lattice, _ in lattices[:60]:
        words = WordLattice.of(lattice, 4.0)
        svg = words.draw(names, most=10_000)
        root = ElementTree.fromstring(svg)
        labels = [t for t in root.iter("{http://www.w3.org/2000/svg}text") if "/" in t.text]
        assert len(labels) == len(words.arcs)
        places = [(float(t.get("x")), float(t.get("y")), 6.0 * len(t.text)) for t in labels]
        for k, (x, y, width) in enumerate(places):
            assert all(abs(y - v) > 12 or abs(x - u) >= (width + w) / 2 for u, v, w in places[:k])
        width = float(root.get("width"))
        assert all(0 <= x <= width for x, _, _ in places)
    assert "best of" in words.draw(most=1) or len(words.arcs) < 2
    assert re.match(r"<div.*<svg .*</svg></div>", words._repr_html_())
