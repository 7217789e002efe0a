import json
from itertools import product
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import LexiconError, ModelError
from asr.hmm.decision_tree import LEAF, PDF_CLASS, DecisionTree, TreeRoot
from asr.hmm.tree import tree_from_json
from asr.hmm.tree_drawing import draw_tree
from asr.lang.symbols import SymbolTable

PHONES, CLASSES, WIDTH, CENTRAL = 5, 3, 3, 1


def random_tree(seed):
    """Phone 1 is not split; 2 and 3 share roots, one a class; 4 and 5 share one root."""
    rng = np.random.default_rng(seed)
    questions = [tuple(sorted(rng.choice(PHONES, rng.integers(1, 4), replace=False) + 1)) for _ in range(6)]
    questions += [(0,), (0, 1)]
    nodes, roots, next_pdf = [], [], 0

    def grow(depth, shared):
        nonlocal next_pdf
        index = len(nodes)
        nodes.append([LEAF, 0, 0, 0])
        if depth == 0 or rng.random() < 0.2:
            if next_pdf and rng.random() < 0.2:  # leaves may share a pdf
                nodes[index][1] = int(rng.integers(next_pdf))
            else:
                nodes[index][1], next_pdf = next_pdf, next_pdf + 1
            return index
        if shared and rng.random() < 0.3:
            position, question = PDF_CLASS, 6 + int(rng.integers(2))
        else:
            position, question = int(rng.integers(WIDTH)), int(rng.integers(6))
        nodes[index] = [position, question, grow(depth - 1, shared), grow(depth - 1, shared)]
        return index

    for phones, groups, depth in [
        ((1,), [(0,), (1,), (2,)], 0),
        ((2, 3), [(0,), (1,), (2,)], 3),
        ((4, 5), [(0, 1, 2)], 5),
    ]:
        for classes in groups:
            roots.append(TreeRoot(phones, classes, grow(depth, len(classes) > 1)))
    return DecisionTree(WIDTH, CENTRAL, tuple(questions), np.array(nodes), tuple(roots))


EVERY = [(w, c) for w in product(range(PHONES + 2), repeat=WIDTH) for c in range(CLASSES) if 1 <= w[CENTRAL] <= PHONES]


@pytest.mark.parametrize("seed", range(10))
def test_every_context_reaches_a_leaf_and_many_at_once_are_as_one_by_one(seed):
    tree = random_tree(seed)
    single = [tree.pdf(window, pdf_class) for window, pdf_class in EVERY]  # phone 6 is unknown to the tree
    assert min(single) >= 0 and max(single) < tree.n_pdfs
    many = tree.pdfs(np.array([w for w, _ in EVERY]), np.array([c for _, c in EVERY]))
    np.testing.assert_array_equal(many, single)
    far = tree.pdfs(np.array([[10**6, 2, -1]]), np.array([0]))
    assert far[0] == tree.pdf((10**6, 2, -1), 0)


@pytest.mark.parametrize("seed", range(10))
def test_pdfs_of_state_are_those_of_all_contexts(seed):
    tree = random_tree(seed)
    for phone, pdf_class in product(range(1, PHONES + 1), range(CLASSES)):
        reached = {tree.pdf(w, c) for w, c in EVERY if (w[CENTRAL], c) == (phone, pdf_class)}
        listed = tree.pdfs_of_state(phone, pdf_class)
        assert reached <= set(listed) and listed == sorted(listed)
        if phone == 1:
            assert len(listed) == 1


@given(st.integers(0, 10_000))
def test_json_and_back(seed):
    tree = random_tree(seed)
    again = tree_from_json(json.loads(json.dumps(tree.to_json())))
    np.testing.assert_array_equal(again.nodes, tree.nodes)
    assert (again.questions, again.roots, again.n_pdfs) == (tree.questions, tree.roots, tree.n_pdfs)


def changed(**changes):
    return {**json.loads(json.dumps(random_tree(3).to_json())), **changes}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"nodes": []}, "no root or no leaf"),
        ({"roots": []}, "no root or no leaf"),
        ({"nodes": [[0, 0, 0, 0], [LEAF, 0]]}, "not a later node"),
        ({"nodes": [[0, 0, 1, 9], [LEAF, 0]]}, "not a later node"),
        ({"nodes": [[0, 99, 1, 1], [LEAF, 0]]}, "does not exist"),
        ({"nodes": [[3, 0, 1, 1], [LEAF, 0]]}, "outside the window"),
        ({"nodes": [[-7, 0, 1, 1], [LEAF, 0]]}, "outside the window"),
        ({"nodes": [[LEAF, -1]]}, "does not exist"),
        ({"central_position": 3}, "outside a window"),
        ({"questions": [[-1]] * 8}, "between 0 and"),
        ({"questions": [[10**9]] * 8}, "between 0 and"),
        ({"roots": [{"phones": [1], "pdf_classes": [0], "node": 10**6}]}, "leads nowhere"),
        ({"roots": [{"phones": [1], "pdf_classes": [0], "node": 0}] * 2}, "more than one root"),
        ({"roots": [{"phones": [1]}]}, "damaged"),
        ({"nodes": [["a"]]}, "damaged"),
        ({"questions": 3}, "damaged"),
    ],
)
def test_damaged_json_is_refused(damage, message):
    with pytest.raises(ModelError, match=message):
        tree_from_json(changed(**damage))


def test_unknown_phones_and_classes():
    tree = random_tree(0)
    for phone in (0, 6, -1):
        with pytest.raises(ModelError, match=f"phone id {phone} is not in the tree"):
            tree.pdf((1, phone, 1), 0)
        with pytest.raises(ModelError, match=f"phone id {phone} is not in the tree"):
            tree.pdfs(np.array([[1, 2, 1], [1, phone, 1]]), np.array([0, 0]))
    with pytest.raises(ModelError, match="has 3 pdf classes; asked for class 3"):
        tree.pdf((1, 2, 1), 3)
    assert tree.pdfs(np.zeros((0, 3), int), np.zeros(0, int)).shape == (0,)


def test_drawing():
    tree = random_tree(1)
    phones = SymbolTable(["<eps>", "SIL", "a", "b<", "c", "d"])
    drawing = ElementTree.fromstring(draw_tree(tree, phones))
    texts = list(drawing.iter("{http://www.w3.org/2000/svg}text"))
    kinds = [t.get("class") for t in texts]
    assert kinds.count("pdf") == tree.n_leaves
    assert kinds.count("question") == len(tree.nodes) - tree.n_leaves == kinds.count("answer") / 2
    assert kinds.count("root") == 7
    titles = [t.text for t in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert "a b<, pdf class 0" in titles and any(t.startswith("left in ") for t in titles)
    heights = [(t.get("x"), t.get("y")) for t in texts if t.get("class") != "answer"]
    assert len(set(heights)) == len(heights)  # nothing is drawn over something else
    part = ElementTree.fromstring(draw_tree(tree, phones, only=["SIL"]))
    assert [t.get("class") for t in part.iter("{http://www.w3.org/2000/svg}text")].count("root") == 3
    with pytest.raises(LexiconError, match="'x' is not in the table"):
        draw_tree(tree, phones, only=["x"])
    with pytest.raises(ModelError, match="no root for the phones <eps>"):
        draw_tree(tree, phones, only=["<eps>"])
