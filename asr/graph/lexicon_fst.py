"""L: from phones to words, with optional silence and disambiguation symbols."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from .const_fst import Graph

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

_LOOP, _START, _PAUSE, _AFTER_PAUSE = range(4)


def lexicon_graph(lexicon: "Lexicon") -> Graph:
    """The transducer from phone ids to word ids that accepts any sequence of words.

    A word's label is on its first arc, with the cost of its pronunciation's probability, and its disambiguation symbol
    on its last. After each word, and at the start, a silence may follow, itself followed by its disambiguation symbol.
    #0 loops between words, so that back-off arcs pass.

    Same as Kaldi's make_lexicon_fst.py --sil-prob --sil-disambig lexiconp.txt with fstaddselfloops.
    """
    silence = lexicon.silence_prob > 0
    n_fixed = 4 if silence else 1
    symbols, word = _pronunciations(lexicon)
    length = np.array([len(s) for s in symbols], np.int64)
    ilabel = np.concatenate([np.array(s, np.int64) for s in symbols])
    last = np.zeros(len(ilabel), bool)
    last[np.cumsum(length) - 1] = True
    begins = np.append(True, last[:-1])
    inner = n_fixed + np.cumsum(~last) - 1  # the state that an arc enters, if it is not a word's last
    source = np.where(begins, _LOOP, np.append(0, inner[:-1]))
    target = np.where(last, _LOOP, inner)
    olabel = np.zeros(len(ilabel), np.int64)
    olabel[begins] = word
    weight = np.zeros(len(ilabel))
    weight[begins] = [-math.log(entry.probability) for entry in lexicon.entries]
    extra = [(_LOOP, lexicon.disambiguation_ids[0], lexicon.words["#0"], 0.0, _LOOP)]
    if silence:
        ends = zip(*(column[last].tolist() for column in (source, ilabel, olabel, weight)), strict=True)
        extra += _silence_arcs(lexicon, ends)
        weight[last] -= math.log(1.0 - lexicon.silence_prob)
    more = [np.array(column) for column in zip(*extra, strict=True)]
    columns = (np.concatenate(pair) for pair in zip((source, ilabel, olabel, weight, target), more, strict=True))
    final = np.full(n_fixed + int((~last).sum()), np.inf)
    final[_LOOP] = 0.0
    source, ilabel, olabel, weight, target = columns
    return Graph.from_arrays(_START if silence else _LOOP, source, ilabel, olabel, weight, target, final)


def _silence_arcs(
    lexicon: "Lexicon", ends: Iterable[tuple[int, int, int, float]]
) -> list[tuple[int, int, int, float, int]]:
    """The arcs before, through and after a pause, and those past it at the start.

    Args:
        ends: the source, labels and cost of each pronunciation's last arc.
    """
    cost, cost_without = -math.log(lexicon.silence_prob), -math.log(1.0 - lexicon.silence_prob)
    return [
        *((source, ilabel, olabel, weight + cost, _PAUSE) for source, ilabel, olabel, weight in ends),
        (_START, 0, 0, cost_without, _LOOP),
        (_START, 0, 0, cost, _PAUSE),
        (_PAUSE, lexicon.silence_id, 0, 0.0, _AFTER_PAUSE),
        (_AFTER_PAUSE, lexicon.silence_disambiguation_id or 0, 0, 0.0, _LOOP),
    ]


def _pronunciations(lexicon: "Lexicon") -> tuple[list[tuple[int, ...]], list[int]]:
    """For each entry its phones with the disambiguation symbol, as phone ids, and its word id."""
    symbols = [
        lexicon.phone_ids(entry) + ((lexicon.disambiguation_ids[k],) if k else ())
        for entry, k in zip(lexicon.entries, lexicon.disambiguation, strict=True)
    ]
    return symbols, [lexicon.words[entry.word] for entry in lexicon.entries]
