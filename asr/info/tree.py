"""Facts of a phonetic decision tree, and its picture."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ModelError
from ..files import kind_of
from ..files.json_files import read_json, taking_apart
from .facts import Facts

if TYPE_CHECKING:
    from ..hmm.tree import ContextDependency

_SHOWN = 20  # phones that are listed


def read_tree(path: Path) -> "ContextDependency":
    """The tree of a tree.json.

    Raises:
        ModelError: for what is none.
    """
    from ..hmm.tree import tree_from_json

    content = read_json(path, error=ModelError)
    with taking_apart(path, what="a tree of ours", error=ModelError):
        return tree_from_json(content)


def tree_facts(path: Path) -> Facts:
    """Facts of a tree.json: how many pdfs, and which phones have most of them, by name where phones.txt lies beside."""
    from ..hmm.decision_tree import LEAF, DecisionTree
    from ..lang.symbols import SymbolTable

    tree = read_tree(path)
    facts: Facts = {"what": "decision tree", "where": str(path), "context_width": tree.context_width}
    facts |= {"pdfs": tree.n_pdfs, "bytes": path.stat().st_size}
    if not isinstance(tree, DecisionTree):
        return {**facts, "what": "monophone tree", "phones": len(tree.n_classes)}  # type: ignore[attr-defined]
    beside = path.with_name("phones.txt")
    names = SymbolTable.load(beside) if kind_of(beside) == "file" else None
    leaves: Counter[str] = Counter()
    for root in tree.roots:
        name = " ".join(str(p) if names is None else names.name(p) for p in root.phones)
        states = {(phone, pdf_class) for phone in root.phones for pdf_class in root.pdf_classes}
        leaves[name] += len(set().union(*(tree.pdfs_of_state(*state) for state in states)))
    return {
        **facts,
        "leaves": tree.n_leaves,
        "questions_asked": int((tree.nodes[:, 0] != LEAF).sum()),
        "roots": len({root.node for root in tree.roots}),
        "phones": len({phone for root in tree.roots for phone in root.phones}),
        "most_pdfs": [{"phones": name, "pdfs": n} for name, n in leaves.most_common(_SHOWN)],
    }


def tree_drawing(place: str | os.PathLike) -> str:
    """The tree of a model, or of a tree.json with phones.txt beside it, as SVG text.

    Raises:
        AsrError: for what is no tree, and for one that asks nothing (a monophone model's).
    """
    from ..hmm.decision_tree import DecisionTree
    from ..hmm.tree_drawing import draw_tree
    from ..lang.symbols import SymbolTable
    from ..model.model import find_model

    path = Path(place)
    path = path.with_name("tree.json") if path.suffix.lower() == ".json" else find_model(place) / "tree.json"
    tree = read_tree(path)
    if not isinstance(tree, DecisionTree):
        raise ModelError(f"{path}: a monophone model's tree asks nothing; there is nothing to draw")
    return draw_tree(tree, SymbolTable.load(path.with_name("phones.txt")))
