"""Graphs that are composed while they are searched: H ∘ C ∘ L built once, and a grammar G that can be exchanged.

HCL has the words and how they are said, of any number; G which word may follow which, at what cost. The static graph
of both has a copy of a part of HCL for each history of G. Here a search holds pairs of a state of HCL and one of G
instead, and finds G's part of the costs when words come out; see asr.decoding.dynamic.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..display.brief import many
from ..errors import GraphError
from .budget import Budget, Step
from .composition import compose
from .const_fst import Graph
from .context import compose_context
from .determinise import determinise
from .epsilons import remove_epsilons_locally
from .hclg import timed_step, without_symbols
from .hmm_fst import add_self_loops, expand_hmms
from .lexicon_fst import lexicon_graph
from .minimise import minimise
from .phrases import NO_PHRASES, Phrases
from .reach import Reach, word_labels

if TYPE_CHECKING:
    from ..ctc.tokens import CtcTokens
    from ..hmm.transitions import TransitionModel
    from ..hmm.tree import ContextDependency
    from ..lang.lexicon import Lexicon


@dataclass(frozen=True, eq=False)
class WordGraph:
    """H ∘ C ∘ L, or T ∘ L: all sequences of words, from transition ids or CTC labels to word ids.

    Attributes:
        graph: without any grammar's costs; those of pronunciations and pauses are in it.
        labels: int32 (n_words + 1,): `word_labels` of the words.
        reach: which of them may come next from each state.
    """

    graph: Graph
    labels: np.ndarray
    reach: Reach

    def __repr__(self) -> str:
        return f"<WordGraph: {many(self.n_words, 'word')}, {repr(self.graph)[1:-1].partition(': ')[2]}>"

    @property
    def n_words(self) -> int:
        """How many words the lexicon has."""
        return len(self.labels) - 1

    @classmethod
    def of(cls, graph: Graph, lexicon: "Lexicon") -> "WordGraph":
        """The graph with what looking ahead needs."""
        labels = word_labels(lexicon)
        return cls(graph, labels, Reach.of(graph, labels))


def compile_words(
    lexicon: "Lexicon",
    tree: "ContextDependency",
    transitions: "TransitionModel",
    *,
    transition_scale: float = 1.0,
    self_loop_scale: float = 0.1,
    max_states: int | None = None,
    progress: Callable[[Step], None] | None = None,
) -> WordGraph:
    """HCL: min(det(H ∘ C ∘ min(det(L)))) with self-loops.

    The arguments, and what is raised, are as of `compile_hclg`. Same as Kaldi's HCLr.fst, but nothing is pushed.
    """
    budget = Budget.of(max_states)

    def step(name: str, build: Callable[[], Any]) -> Any:
        return timed_step(name, build, budget, progress)

    width, central = tree.context_width, tree.central_position
    words = _spoken_words(lexicon, budget, step)
    context = step("C o L", lambda: compose_context(words, lexicon.n_phones, width=width, central=central))
    hmms = step("H o CL", lambda: expand_hmms(context, tree, transitions, transition_scale=transition_scale))
    # Not in the log semiring: without a grammar that would favour beginnings by how many words they have.
    name_of = lexicon.words.name
    hmms = step("det(HCL)", lambda: determinise(hmms, budget=budget, what="HCL", name_of=name_of, in_log=False))
    hmms = step("rmsym(HCL)", lambda: remove_epsilons_locally(without_symbols(hmms, transitions.n_transition_ids)))
    hmms = step("min(HCL)", lambda: minimise(hmms))
    graph = step("HCL", lambda: add_self_loops(hmms, transitions, self_loop_scale=self_loop_scale))
    return WordGraph.of(graph, lexicon)


def compile_token_words(
    lexicon: "Lexicon",
    tokens: "CtcTokens",
    *,
    max_states: int | None = None,
    progress: Callable[[Step], None] | None = None,
) -> WordGraph:
    """min(T ∘ min(det(L))), from CTC labels to word ids; arguments as of `compile_tlg`."""
    from .tlg import token_graph

    budget = Budget.of(max_states)
    lexicon = replace(lexicon, silence_prob=0.0)

    def step(name: str, build: Callable[[], Any]) -> Any:
        return timed_step(name, build, budget, progress)

    words = _spoken_words(lexicon, budget, step)
    topology = step("T", lambda: token_graph(tokens, lexicon.disambiguation_ids))
    graph = step("T o L", lambda: compose(topology, words, budget=budget, what="T o L"))
    graph = step("rmeps(TL)", lambda: remove_epsilons_locally(graph))
    return WordGraph.of(step("TL", lambda: minimise(graph)), lexicon)


def _spoken_words(lexicon: "Lexicon", budget: Budget, step: Callable[[str, Callable[[], Any]], Any]) -> Graph:
    """min(det(L)), without the loop for the symbol of back-off: that is the search's own."""
    words = step("L", lambda: _without_back_off(lexicon_graph(lexicon), lexicon.disambiguation_ids[0]))
    name_of = lexicon.words.name
    words = step("det(L)", lambda: determinise(words, budget=budget, what="L", name_of=name_of, in_log=False))
    return step("min(L)", lambda: minimise(words))


def _without_back_off(words: Graph, symbol: int) -> Graph:
    kept = words.arcs["ilabel"] != symbol
    return Graph.from_rows(words.start, words.sources()[kept], words.arcs[kept], words.states["final"])


def numbered_grammar(grammar: Graph, labels: np.ndarray, back_off: int) -> Graph:
    """A grammar over word ids as one over the labels of a `WordGraph`, with back-off arcs that carry no label.

    Args:
        grammar: an acceptor, such as an n-gram model of any order or a loop over words.
        labels: `word_labels`.
        back_off: the label of back-off arcs.

    Returns:
        a graph whose states have at most one arc without label, the first, and then their words in order.

    Raises:
        GraphError: where a state has a word twice, or two ways to back off, so that it is no history of words; or
            where backing off goes on for ever.
    """
    arcs, source = grammar.arcs, grammar.sources()
    backs = (arcs["ilabel"] == back_off) | (arcs["ilabel"] == 0)
    label = np.where(backs, 0, labels[np.where(backs, 0, arcs["ilabel"])])
    columns = (label, label, arcs["weight"], arcs["next"])
    made = Graph.from_arrays(grammar.start, source, *columns, grammar.states["final"])
    key = made.sources().astype(np.int64) * (len(labels) + 1) + made.arcs["ilabel"]
    twice = np.flatnonzero(np.diff(key) == 0)
    if len(twice):
        s, word = divmod(int(key[twice[0]]), len(labels) + 1)
        what = "ways to back off" if word == 0 else "arcs for the same word"
        raise GraphError(
            f"grammar: state {s} has two {what}; only deterministic grammars can be composed while decoding, such as "
            "n-gram models and lists of words"
        )
    _check_back_off(made)
    return made


def _check_back_off(grammar: Graph) -> None:
    """Raise GraphError if some state backs off to itself in the end."""
    backs = grammar.states["n_input_epsilons"] > 0
    to = np.arange(grammar.n_states)
    to[backs] = grammar.arcs["next"][grammar.states["first"][backs]]
    for _ in range(64):  # an n-gram backs off at most as often as it is long
        if not backs[to].any():
            return
        to = np.where(backs[to], to[to], to)
    raise GraphError("grammar: its back-off arcs go round in a cycle")


@dataclass(frozen=True, eq=False)
class DynamicGraph:
    """HCL and G side by side, for a search that composes them.

    Attributes:
        words: HCL.
        grammar: G, as `numbered_grammar` makes it of an n-gram model.
        phrases: boosted ones, as of `asr.graph.phrases`; none by default.
        exact: whether a word that a history has an arc for is never reached by backing off: costs are then those of
            the language model itself. A static graph takes the cheapest way instead.
        added: labels of words that may come though the grammar has none of them, each at the cost of its rarest word.
    """

    words: WordGraph
    grammar: Graph
    phrases: Phrases = NO_PHRASES
    exact: bool = False
    added: tuple[int, ...] = ()

    search: ClassVar[str] = "dynamic"
    files: ClassVar[tuple[str, ...]] = ("HCL.fst", "G.fst", "reach.npz")

    def __repr__(self) -> str:
        return f"<DynamicGraph: {repr(self.words)[1:-1]}; {repr(self.grammar)[1:-1].replace('Graph', 'grammar')}>"

    @property
    def n_bytes(self) -> int:
        """What states and arcs of both take."""
        return self.words.graph.n_bytes + self.grammar.n_bytes

    def word_ids(self) -> np.ndarray:
        """The ids of the words that the grammar has, ascending."""
        used = np.zeros(len(self.words.labels) + 1, bool)
        used[self.grammar.arcs["ilabel"]] = True
        used[list(self.added)] = True
        used[0] = False
        return np.flatnonzero(used[self.words.labels])

    def boosting(self, phrases: Sequence[tuple[Sequence[int], float]]) -> "DynamicGraph":
        """The graph in which phrases gain: the word ids of each, and nats; words that G lacks may then come, too."""
        labels = self.words.labels
        made = Phrases.of([([int(labels[word]) for word in said], bonus) for said, bonus in phrases])
        wanted = {word for said, _ in phrases for word in said}.difference(self.word_ids().tolist())
        return replace(self, phrases=made, added=(*self.added, *sorted(int(labels[word]) for word in wanted)))

    def save(self, directory: Path) -> None:
        """Write HCL.fst, G.fst and reach.npz into a model's directory.

        Raises:
            GraphError: where phrases are boosted, which belong to a recording, not to a model.
        """
        if len(self.phrases.arcs):
            raise GraphError("boosted phrases are not kept with a model: save it as it was before, and boost it again")
        self.words.graph.write(directory / "HCL.fst")
        self.grammar.write(directory / "G.fst")
        reach = self.words.reach
        np.savez(
            directory / "reach.npz",
            labels=self.words.labels,
            set_of_state=reach.set_of_state,
            first=reach.first,
            bounds=reach.bounds,
            exact=np.array(self.exact, np.int32),
        )

    @classmethod
    def of_files(cls, words: Graph, grammar: Graph, arrays: Mapping[str, np.ndarray]) -> "DynamicGraph":
        """The graph of what `save` wrote.

        Args:
            words: of HCL.fst.
            grammar: of G.fst.
            arrays: of reach.npz.

        Raises:
            GraphError: where they do not belong together.
        """
        labels, set_of, first, bounds = (
            np.ascontiguousarray(arrays[name], np.int32) for name in ("labels", "set_of_state", "first", "bounds")
        )
        made = cls(WordGraph(words, labels, Reach(set_of, first, bounds)), grammar, exact=bool(arrays["exact"]))
        made.check()
        return made

    def check(self) -> None:
        """Raise GraphError for what could lead a search outside of the arrays."""
        labels, reach, grammar = self.words.labels, self.words.reach, self.grammar
        n = len(labels)
        fits = (
            len(reach.set_of_state) == self.words.graph.n_states
            and n > 1
            and sorted(labels.tolist()) == list(range(n))
            and reach.n_sets > 0
            and reach.first[0] == 0
            and 2 * int(reach.first[-1]) == len(reach.bounds)
            and bool((np.diff(reach.first) >= 0).all())
            and 0 <= reach.set_of_state.min(initial=0) <= reach.set_of_state.max(initial=0) < reach.n_sets
            and 0 <= reach.bounds.min(initial=0) <= reach.bounds.max(initial=0) <= n + 1
            and int(self.words.graph.arcs["olabel"].max(initial=0)) < n
        )
        if not fits:
            raise GraphError("reach.npz does not belong to HCL.fst; build the graph anew")
        arcs, states = grammar.arcs, grammar.states
        fits = (
            0 <= grammar.start < grammar.n_states
            and 0 <= arcs["ilabel"].min(initial=0) <= arcs["ilabel"].max(initial=0) < n
            and 0 <= arcs["next"].min(initial=0) <= arcs["next"].max(initial=0) < grammar.n_states
            and int(states["n_input_epsilons"].max(initial=0)) <= 1
            and bool((states["n_input_epsilons"] <= states["n_arcs"]).all())
            and int((states["first"].astype(np.int64) + states["n_arcs"]).max(initial=0)) <= grammar.n_arcs
            and not np.isnan(arcs["weight"]).any()
        )
        if not fits:
            raise GraphError("G.fst does not belong to HCL.fst, or is damaged; build the graph anew")
        _check_back_off(grammar)
