"""G: which word sequences are possible, and at what cost."""

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..errors import GraphError
from .const_fst import ARC, Graph, ranges
from .trimming import trimmed

if TYPE_CHECKING:
    import pynini

    from ..lang.lexicon import Lexicon

_MOST_GROWTH = 4  # epsilon removal may make a grammar this many times larger
_ROUNDING = 1e-6  # less gained is nothing gained


def word_loop(lexicon: "Lexicon", words: Iterable[str] | None = None) -> Graph:
    """Any sequence of some words, all equally probable.

    Args:
        words: names; None: all words of the lexicon. The end of the sentence counts as one more word, so that with n
            words each costs log(n + 1), and so does the end.

    Raises:
        LexiconError: for an unknown word.
        GraphError: where there is none.
    """
    names = lexicon.words if words is None else words
    ids = sorted({_word_id(lexicon, name) for name in names if words is not None or _is_word(lexicon, name)})
    if not ids:
        raise GraphError("a word loop needs one word or more")
    zeros, cost = np.zeros(len(ids), np.int64), math.log(len(ids) + 1)
    return Graph.from_arrays(0, zeros, ids, ids, np.full(len(ids), cost), zeros, [cost])


def sequence(lexicon: "Lexicon", words: Sequence[str] | Sequence[int]) -> Graph:
    """One sentence, at no cost: names or ids of its words; an empty one accepts silence alone.

    Raises:
        LexiconError: for an unknown word.
    """
    ids = [_word_id(lexicon, word) if isinstance(word, str) else word for word in words]
    states = np.arange(len(ids) + 1)
    final = np.where(states == len(ids), 0.0, np.inf)
    return Graph.from_arrays(0, states[:-1], ids, ids, np.zeros(len(ids)), states[1:], final)


def finished_words(grammar: "Graph | pynini.Fst", lexicon: "Lexicon", joiner: str) -> Graph:
    """The grammar's sentences in which every word is complete, where words are made of subword parts.

    Args:
        joiner: the subword marker: at the end of a part that must go on, and at the beginning of one that may end a
            word; words without it are whole. An n-gram model that backs off would follow `abé+` by anything.

    Raises:
        GraphError: where no sentence is left.
    """
    graph = as_graph(grammar)
    n, arcs, source = graph.n_states, graph.arcs, graph.sources()
    back_off = lexicon.words["#0"]
    names = [lexicon.words.name(i) for i in range(back_off)]
    begins = np.array([name.endswith(joiner) for name in names])
    ends = np.array([name.startswith(joiner) and not name.endswith(joiner) for name in names])
    label = arcs["ilabel"]
    passes = (label == 0) | (label == back_off)
    begin, end = (~passes & of[np.where(passes, 0, label)] for of in (begins, ends))
    # States 0 ... n - 1 are between words, n ... 2 n - 1 within one: which arcs there are from where to where.
    kinds = ((~begin, 0, 0), (begin, 0, n), (passes | begin, n, n), (end, n, 0))
    columns = [
        np.concatenate([column[chosen] + shift[k] for chosen, *shift in kinds])
        for column, k in ((source, 0), (arcs["next"].astype(np.int64), 1))
    ]
    ilabel, olabel, weight = (np.concatenate([arcs[x][c] for c, *_ in kinds]) for x in ("ilabel", "olabel", "weight"))
    # A sentence may end between words alone.
    final = np.concatenate([graph.states["final"], np.full(n, np.inf)])
    made = trimmed(Graph.from_arrays(graph.start, columns[0], ilabel, olabel, weight, columns[1], final))
    if made.n_states == 0:
        raise GraphError(f"grammar: no sentence ends with a finished word; parts of words are marked with {joiner!r}")
    return made


def _is_word(lexicon: "Lexicon", name: str) -> bool:
    return 0 < lexicon.words[name] < lexicon.words["#0"]


def _word_id(lexicon: "Lexicon", name: str) -> int:
    lexicon.pronunciations(name)  # complains about a word that has none
    return lexicon.words[name]


def as_graph(grammar: "Graph | pynini.Fst") -> Graph:
    """A grammar as a Graph: one of ours, or of pynini.

    Raises:
        GraphError: for what is neither, or is of another semiring.
    """
    if isinstance(grammar, Graph):
        return grammar
    if not hasattr(grammar, "arc_type"):
        raise GraphError(
            f"grammar: {type(grammar).__name__} is none; need a Graph, such as word_loop or arpa_grammar make, or a "
            "pynini.Fst"
        )
    from .openfst import from_pynini

    return from_pynini(grammar, where="grammar")


def checked_grammar(grammar: "Graph | pynini.Fst", lexicon: "Lexicon") -> Graph:
    """A user's grammar as a Graph that can be composed with the lexicon.

    Args:
        grammar: an acceptor over `lexicon.words`; back-off arcs carry #0 as input, and #0 or nothing as output. Other
            arcs without label are removed.

    Raises:
        GraphError: for an empty grammar, a label that is no word, or one with different words on its two sides.
    """
    graph = as_graph(grammar)
    back_off, n_words = lexicon.words["#0"], lexicon.words["#0"] - 1
    arcs = graph.arcs.copy()
    arcs["olabel"][(arcs["ilabel"] == back_off) & (arcs["olabel"] == back_off)] = 0
    for side in ("ilabel", "olabel"):
        wrong = (arcs[side] > n_words) & ~((arcs[side] == back_off) & (side == "ilabel"))
        if wrong.any():
            label = int(arcs[side][np.argmax(wrong)])
            name = lexicon.words.name(label) if label < len(lexicon.words) else f"id {label}"
            raise GraphError(
                f"grammar: {name!r} is not a word of the lexicon ({n_words} words); labels are the ids of "
                "lexicon.words, and sentence boundaries are the start and final states, not symbols"
            )
    differs = (arcs["ilabel"] != arcs["olabel"]) & (arcs["ilabel"] != back_off)
    if differs.any() or ((arcs["ilabel"] == back_off) & (arcs["olabel"] != 0)).any():
        raise GraphError("grammar: an arc has different words as input and output; a grammar is an acceptor of words")
    return _without_epsilons(Graph(graph.start, *_recounted(graph, arcs)))


def _recounted(graph: Graph, arcs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    states = graph.states.copy()
    states["n_output_epsilons"] = np.bincount(graph.sources()[arcs["olabel"] == 0], minlength=graph.n_states)
    return states, arcs.astype(ARC)


def _without_epsilons(graph: Graph) -> Graph:
    """The grammar without arcs that carry no word, trimmed. Raises GraphError if it accepts nothing."""
    graph = trimmed(graph)
    if graph.n_states == 0:
        raise GraphError("grammar: accepts no sentence (no path leads from its start to a final state)")
    if not graph.states["n_input_epsilons"].any():
        return graph
    most = _MOST_GROWTH * graph.n_arcs + 10_000
    source, target, cost = _unlabelled_ways(graph, most)
    labelled = np.flatnonzero(graph.arcs["ilabel"])
    # What follows an unlabelled way follows where the way begins.
    n_labelled = graph.states["n_arcs"] - graph.states["n_input_epsilons"]
    first = graph.states["first"] + graph.states["n_input_epsilons"]
    count = n_labelled[target].astype(np.int64)
    if len(labelled) + int(count.sum()) > most:
        raise _grown(graph, len(labelled) + int(count.sum()))
    arcs = graph.arcs[np.concatenate((labelled, ranges(first[target].astype(np.int64), count)))]
    arcs["weight"][len(labelled) :] += np.repeat(cost, count).astype(np.float32)
    source_of = np.concatenate((graph.sources()[labelled], np.repeat(source, count)))
    final = graph.states["final"].copy()
    np.minimum.at(final, source, graph.states["final"][target] + cost.astype(np.float32))
    # Of several arcs of the same word between the same states the best one counts.
    order = np.lexsort((arcs["weight"], arcs["next"], arcs["ilabel"], source_of))
    arcs, source_of = arcs[order], source_of[order].astype(np.int32)
    key = np.stack((source_of, arcs["ilabel"], arcs["next"]))
    kept = np.append(True, (key[:, 1:] != key[:, :-1]).any(axis=0))
    return trimmed(Graph.from_rows(graph.start, source_of[kept], arcs[kept], final))


def _unlabelled_ways(graph: Graph, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The paths without labels: for each pair of states that are joined by one, both, and the lowest cost.

    Args:
        most: of pairs.

    Raises:
        GraphError: for more, and where costs fall without end.
    """
    n, silent = graph.n_states, graph.states["n_input_epsilons"].astype(np.int64)
    first, is_silent = graph.states["first"].astype(np.int64), graph.arcs["ilabel"] == 0
    step = graph.sources()[is_silent].astype(np.int64) * n + graph.arcs["next"][is_silent]
    keys, costs = _cheapest(step, graph.arcs["weight"][is_silent].astype(np.float64))
    for _ in range(n + 1):
        source, target = np.divmod(keys, n)
        if (costs[source == target] < -_ROUNDING).any():
            break
        # Each path with one arc more, if that is better than what there is.
        arc = ranges(first[target], silent[target])
        more = np.repeat(source, silent[target]) * n + graph.arcs["next"][arc]
        longer = np.repeat(costs, silent[target]) + graph.arcs["weight"][arc]
        found, least = _cheapest(np.concatenate((keys, more)), np.concatenate((costs, longer)))
        if len(found) > most:
            raise _grown(graph, len(found))
        if len(found) == len(keys) and (least > costs - _ROUNDING).all():
            return source, target, costs
        keys, costs = found, least
    raise GraphError("grammar: its costs fall without end round a cycle of unlabelled arcs")


def _cheapest(keys: np.ndarray, costs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each key once, with its lowest cost."""
    order = np.lexsort((costs, keys))
    keys, costs = keys[order], costs[order]
    kept = np.append(True, keys[1:] != keys[:-1])
    return keys[kept], costs[kept]


def _grown(graph: Graph, n: int) -> GraphError:
    return GraphError(
        f"grammar: without its unlabelled arcs it grows from {graph.n_arcs} to {n} arcs or more; label back-off arcs "
        "with #0 (lexicon.words['#0'])"
    )
