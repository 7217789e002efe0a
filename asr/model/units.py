"""What the labels of a model's graph and alignments stand for: states of HMMs, or the blank and the phones of CTC.

A model's units own their files in its directory, and know how a grammar becomes a graph of them, how words are aligned
with scores, and where the phones of an alignment are. A model of another kind is one more class here, and in UNITS.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np

from ..display.brief import brief_repr
from ..errors import ModelError
from ..files.json_files import read_json
from ..hmm.topology import Topology
from ..hmm.transitions import PhoneSegment, TransitionModel
from ..hmm.tree import ContextDependency, tree_from_json
from ..lang.lexicon import Lexicon
from .acoustic import AcousticModel, log_posteriors
from .parts import load_arrays, reading

if TYPE_CHECKING:
    import pynini

    from ..ctc.tokens import CtcTokens
    from ..features.pipeline import FeaturePipeline
    from ..graph.budget import Step
    from ..graph.const_fst import Graph
    from ..graph.dynamic import WordGraph

_BEAM, _RETRY_BEAM = 200.0, 1000.0  # nats, of alignment: transcripts that people give may differ from what is said


class Aligned(NamedTuple):
    """Words aligned with an utterance.

    Attributes:
        labels: int32 (n_rows,), one for each row of scores.
        score: natural-log.
    """

    labels: np.ndarray
    score: float

    def __repr__(self) -> str:
        return brief_repr(self)


class Units(Protocol):
    """What a model asks of its units.

    Attributes:
        files: what they write into a model directory.
        acoustics: the families of acoustic models that go with them, see `AcousticModel.family`.
        adapts: whether models of them can adapt to speakers.
        aligns_frames: whether training aligns each frame of its utterances with a label.
        acoustic_scales, insertion_penalties: what tuning tries where nothing else is asked for.
    """

    files: ClassVar[tuple[str, ...]]
    acoustics: ClassVar[tuple[str, ...]]
    adapts: ClassVar[bool]
    aligns_frames: ClassVar[bool]
    acoustic_scales: ClassVar[tuple[float, ...]]
    insertion_penalties: ClassVar[tuple[float, ...]]

    @classmethod
    def kind(cls, acoustic: str) -> str:
        """What model.json calls a model of these units, with an acoustic model of a family."""
        ...

    @classmethod
    def read(cls, directory: Path, lexicon: Lexicon) -> "Units":
        """What `write` wrote.

        Raises:
            ModelError: naming the file.
        """
        ...

    def write(self, directory: Path) -> None:
        """Write the files."""
        ...

    @property
    def n_pdfs(self) -> int:
        """Columns of the acoustic model's scores."""
        ...

    @property
    def n_labels(self) -> int:
        """The greatest label; the least is 1."""
        ...

    @property
    def contexts(self) -> tuple[int, float]:
        """How many phones say what a label stands for, the phone itself among them, and how many labels a phone has."""
        ...

    @property
    def pdf_of_label(self) -> np.ndarray:
        """int32 (n_labels + 1,): the column of each label; entry 0 is not used."""
        ...

    @property
    def hmms(self) -> "HmmUnits":
        """These, where they are HMMs.

        Raises:
            ModelError: for others.
        """
        ...

    def facts(self) -> dict[str, Any]:
        """What a person asks of them, by name."""
        ...

    def of_graph(self, lexicon: Lexicon) -> Lexicon:
        """The lexicon as graphs of these units have it."""
        ...

    def compile_graph(
        self,
        lexicon: Lexicon,
        grammar: "Graph | pynini.Fst",
        *,
        max_states: int | None = None,
        progress: "Callable[[Step], None] | None" = None,
    ) -> "Graph":
        """The decoding graph of a grammar.

        Args:
            lexicon: as of `of_graph`.
            grammar: an acceptor over its word ids.
            max_states: as of `compile_hclg`.
            progress: as of `compile_hclg`.
        """
        ...

    def compile_words(
        self, lexicon: Lexicon, *, max_states: int | None = None, progress: "Callable[[Step], None] | None" = None
    ) -> "WordGraph":
        """All sequences of a lexicon's words, to be composed with a grammar while decoding; see `compile_graph`."""
        ...

    def align(
        self,
        acoustic: AcousticModel,
        features: np.ndarray,
        words: Sequence[int],
        lexicon: Lexicon,
        acoustic_scale: float,
    ) -> Aligned:
        """The labels of an utterance in which some words are said. Raises ModelError with the reason for none.

        Args:
            features: float32 (n_frames, dim), as the acoustic model takes them.
        """
        ...

    def segments(
        self, labels: np.ndarray, features: np.ndarray | None, pipeline: "FeaturePipeline", subsampling: int
    ) -> list[PhoneSegment]:
        """The phones of an alignment, with their rows of scores.

        Args:
            features: float32 (n_frames, dim) of the utterance, which may tell where the pauses are.
            pipeline: that they come from.
            subsampling: frames to a row.
        """
        ...

    def is_silence(self, labels: np.ndarray, silence_phone: int) -> np.ndarray:
        """Which rows of an alignment say nothing, bool (n_rows,)."""
        ...


@dataclass(frozen=True, eq=False)
class HmmUnits:
    """Hidden Markov models of phones in context; labels are transition ids.

    Attributes:
        transitions: the states' topology and transition probabilities.
        tree: from phones in context to the pdfs of their states.
    """

    transitions: TransitionModel
    tree: ContextDependency

    files: ClassVar[tuple[str, ...]] = ("transitions.npz", "tree.json")
    acoustics: ClassVar[tuple[str, ...]] = ("gmm", "dnn")
    adapts: ClassVar[bool] = True
    aligns_frames: ClassVar[bool] = True
    acoustic_scales: ClassVar[tuple[float, ...]] = (0.05, 0.0667, 0.0833, 0.1, 0.125)
    insertion_penalties: ClassVar[tuple[float, ...]] = (-2.0, 0.0, 2.0, 4.0, 7.0)

    def __repr__(self) -> str:
        return f"<HmmUnits: {repr(self.transitions)[1:-1]}>"

    @classmethod
    def kind(cls, acoustic: str) -> str:
        """ "gmm-hmm" or "dnn-hmm"."""
        return f"{acoustic}-hmm"

    @classmethod
    def read(cls, directory: Path, lexicon: Lexicon) -> "HmmUnits":
        """The transitions and the tree, which must belong to each other and to the lexicon's phones."""
        with reading(directory / "tree.json"):
            tree = tree_from_json(read_json(directory / "tree.json", error=ModelError))
        path = directory / "transitions.npz"
        with reading(path), np.errstate(all="ignore"):
            arrays = load_arrays(path)
            topology = Topology.from_json(json.loads(str(arrays["topology"])))
            without = set(range(1, lexicon.n_phones + 1)).difference(topology.phones)
            if without:
                raise ModelError(f"phone {lexicon.phones.name(min(without))!r} of lexicon.tsv has no HMM")
            if not np.array_equal(TransitionModel.from_tree(topology, tree).tuples, arrays["tuples"]):
                raise ModelError("its transition states are not those of its topology and tree.json")
            transitions = TransitionModel(topology, arrays["tuples"], arrays["log_probs"])
            log_probs = transitions.log_probs
            if log_probs.dtype != np.float64 or log_probs.ndim != 1 or not (log_probs <= 1e-6).all():
                raise ModelError("log_probs must be float64 logarithms of probabilities")
        return cls(transitions, tree)

    def write(self, directory: Path) -> None:
        """Write transitions.npz and tree.json."""
        np.savez(
            directory / "transitions.npz",
            topology=np.array(json.dumps(self.transitions.topology.to_json())),
            tuples=self.transitions.tuples,
            log_probs=self.transitions.log_probs,
        )
        (directory / "tree.json").write_text(json.dumps(self.tree.to_json(), indent=1) + "\n", encoding="utf-8")

    @property
    def n_pdfs(self) -> int:
        """Leaves of the tree."""
        return self.tree.n_pdfs

    @property
    def n_labels(self) -> int:
        """Transition ids."""
        return self.transitions.n_transition_ids

    @property
    def contexts(self) -> tuple[int, float]:
        """The width of the tree's windows, and the mean number of HMM states."""
        topology = self.transitions.topology
        return self.tree.context_width, float(np.mean([len(topology.states(phone)) for phone in topology.phones]))

    @property
    def pdf_of_label(self) -> np.ndarray:
        """int32 (n_labels + 1,): the pdf of each transition id."""
        return self.transitions.pdf_of_id

    @property
    def hmms(self) -> "HmmUnits":
        """These."""
        return self

    def facts(self) -> dict[str, Any]:
        """Context width, pdfs and transition ids."""
        return {
            "context_width": self.tree.context_width,
            "pdfs": self.tree.n_pdfs,
            "transition_ids": self.transitions.n_transition_ids,
        }

    def of_graph(self, lexicon: Lexicon) -> Lexicon:
        """The lexicon, whose pauses between words have HMMs of their own."""
        return lexicon

    def compile_graph(
        self,
        lexicon: Lexicon,
        grammar: "Graph | pynini.Fst",
        *,
        max_states: int | None = None,
        progress: "Callable[[Step], None] | None" = None,
    ) -> "Graph":
        """HCLG."""
        from ..graph.hclg import compile_hclg

        return compile_hclg(lexicon, grammar, self.tree, self.transitions, max_states=max_states, progress=progress)

    def compile_words(
        self, lexicon: Lexicon, *, max_states: int | None = None, progress: "Callable[[Step], None] | None" = None
    ) -> "WordGraph":
        """HCL."""
        from ..graph.dynamic import compile_words

        return compile_words(lexicon, self.tree, self.transitions, max_states=max_states, progress=progress)

    def align(
        self,
        acoustic: AcousticModel,
        features: np.ndarray,
        words: Sequence[int],
        lexicon: Lexicon,
        acoustic_scale: float,
    ) -> Aligned:
        """By the best of all pronunciations, with pauses where they are."""
        from ..hmm.align import AlignOptions, align_scored
        from ..hmm.training_graph import training_graphs

        graphs = training_graphs({"utterance": words}, lexicon, self.tree, self.transitions)
        options = AlignOptions(beam=_BEAM, retry_beam=_RETRY_BEAM, acoustic_scale=acoustic_scale)
        found = align_scored(graphs, {"utterance": acoustic.log_likelihoods(features)}, self.transitions, options)
        if found.failures:
            raise ModelError(found.failures["utterance"])
        return Aligned(found.transition_ids["utterance"], acoustic_scale * found.acoustic + found.graph)

    def segments(
        self, labels: np.ndarray, features: np.ndarray | None, pipeline: "FeaturePipeline", subsampling: int
    ) -> list[PhoneSegment]:
        """The phones that the states belong to."""
        return self.transitions.phone_segments(labels)

    def is_silence(self, labels: np.ndarray, silence_phone: int) -> np.ndarray:
        """Which frames are in states of the silence phone."""
        return self.transitions.is_silence(labels, silence_phone)


@dataclass(frozen=True)
class CtcUnits:
    """The blank and the phones of a network that was trained with CTC, without HMMs; see `CtcTokens`.

    Attributes:
        tokens: their labels and columns.
    """

    tokens: "CtcTokens"

    files: ClassVar[tuple[str, ...]] = ()
    acoustics: ClassVar[tuple[str, ...]] = ("dnn",)
    adapts: ClassVar[bool] = False
    aligns_frames: ClassVar[bool] = False
    acoustic_scales: ClassVar[tuple[float, ...]] = (0.4, 0.6, 0.8, 1.0, 1.3)
    insertion_penalties: ClassVar[tuple[float, ...]] = (-4.0, -2.0, -1.0, 0.0, 1.0)

    @classmethod
    def kind(cls, acoustic: str) -> str:
        """ "ctc"."""
        return "ctc"

    @classmethod
    def read(cls, directory: Path, lexicon: Lexicon) -> "CtcUnits":
        """Those of a lexicon's phones, which is all there is to know."""
        from ..ctc.tokens import CtcTokens

        return cls(CtcTokens(lexicon.n_phones))

    def write(self, directory: Path) -> None:
        """Nothing: the lexicon's phones say all."""

    @property
    def n_pdfs(self) -> int:
        """Columns of the network's output."""
        return self.tokens.n_pdfs

    @property
    def n_labels(self) -> int:
        """The blank and the phones."""
        return self.tokens.n_transition_ids

    @property
    def contexts(self) -> tuple[int, float]:
        """A phone alone, and its label."""
        return 1, 1.0

    @property
    def pdf_of_label(self) -> np.ndarray:
        """int32 (n_labels + 1,): the column of each label."""
        return self.tokens.pdf_of_id

    @property
    def hmms(self) -> HmmUnits:
        """Raises ModelError."""
        raise ModelError("this is a model of CTC, which has no HMMs: nothing that needs them can be done")

    def facts(self) -> dict[str, Any]:
        """Outputs of the network."""
        return {"outputs": f"{self.tokens.n_pdfs}: the blank and each phone"}

    def of_graph(self, lexicon: Lexicon) -> Lexicon:
        """The lexicon without a phone for pauses, which are blanks."""
        return replace(lexicon, silence_prob=0.0)

    def compile_graph(
        self,
        lexicon: Lexicon,
        grammar: "Graph | pynini.Fst",
        *,
        max_states: int | None = None,
        progress: "Callable[[Step], None] | None" = None,
    ) -> "Graph":
        """TLG."""
        from ..graph.tlg import compile_tlg

        return compile_tlg(lexicon, grammar, self.tokens, max_states=max_states, progress=progress)

    def compile_words(
        self, lexicon: Lexicon, *, max_states: int | None = None, progress: "Callable[[Step], None] | None" = None
    ) -> "WordGraph":
        """TL."""
        from ..graph.dynamic import compile_token_words

        return compile_token_words(lexicon, self.tokens, max_states=max_states, progress=progress)

    def align(
        self,
        acoustic: AcousticModel,
        features: np.ndarray,
        words: Sequence[int],
        lexicon: Lexicon,
        acoustic_scale: float,
    ) -> Aligned:
        """Each word as its first pronunciation has it, by log-posteriors: neither priors nor a scale count."""
        from ..ctc.align import ctc_align

        phones = [phone for word in words for phone in lexicon.pronunciations(word)[0]]
        found = ctc_align(log_posteriors(acoustic, features), phones)
        return Aligned(found.labels, found.score)

    def segments(
        self, labels: np.ndarray, features: np.ndarray | None, pipeline: "FeaturePipeline", subsampling: int
    ) -> list[PhoneSegment]:
        """The phones around their spikes, which end where pauses begin, if the features' loudness tells of these."""
        from ..ctc.pauses import rows_of_pauses, rows_of_reach

        loudness = None if features is None else pipeline.loudness(features)
        if loudness is None:
            return self.tokens.phone_segments(labels)
        frames = pipeline.frame_shift, subsampling
        return self.tokens.phone_segments(labels, rows_of_pauses(loudness, *frames), rows_of_reach(*frames))

    def is_silence(self, labels: np.ndarray, silence_phone: int) -> np.ndarray:
        """Which rows are blanks."""
        return self.tokens.is_silence(labels, silence_phone)


UNITS: tuple[type[HmmUnits] | type[CtcUnits], ...] = (HmmUnits, CtcUnits)
"""All kinds of units."""
