"""A flat start that knows the pauses: quiet stretches begin as silence, and words share the rest of the frames.

Kaldi's flat start draws for each gap between words whether silence has a share of the frames, and gives it the same
share wherever it is. With long pauses and few phones the silence model then begins as a mixture of pauses and words,
and may keep words, or parts of them, for good. Loudness tells the two apart before there is a model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..features.loudness import loudness_threshold, stretches
from ..hmm.align import equal_alignment
from ..hmm.training_graph import TrainingGraphs, training_graphs
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency
from .passes import Part, equal_alignments

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

MIN_PAUSE = 10  # frames; a tenth of a second at the usual shift, longer than the closure of a stop
MIN_SPEECH = 5  # frames; shorter sounds inside a pause are clicks


def pause_alignments(
    parts: Sequence[Part],
    transcripts: Mapping[str, Sequence[int]],
    lexicon: "Lexicon",
    tree: ContextDependency,
    transitions: TransitionModel,
    rng: np.random.Generator,
) -> tuple[list[np.ndarray], dict[str, str]]:
    """Transition ids to begin training with, of every part, and why some utterances have none.

    An utterance's words, without silence between them, share its frames outside of pauses equally; each pause is a
    piece of silence of its own. The result is for the first statistics only: it is no path through the training graph
    where a pause interrupts a word. An utterance with too few frames outside of pauses is aligned as in
    `equal_alignments`, and so are all with a lexicon without silence.

    Args:
        parts: their frames' first feature must rise with loudness, as C0, the log energy and low mel bands do.
        transcripts: utterance id -> word ids.
    """
    all_ids, failures = equal_alignments(parts, rng)
    if lexicon.silence_prob == 0:
        return all_ids, failures
    threshold = loudness_threshold(np.concatenate([part.frames[:, 0] for part in parts]))
    unbroken = replace(lexicon, silence_prob=0.0)
    silence = training_graphs({"silence": []}, lexicon, tree, transitions)
    min_pause = max(MIN_PAUSE, int(silence.min_frames[0]))
    for part, ids in zip(parts, all_ids, strict=True):
        spoken = {u: transcripts[u] for u in part.ids if len(transcripts[u]) and u not in failures}
        if not spoken:
            continue
        words = training_graphs(spoken, unbroken, tree, transitions)
        for utterance, start, end in zip(part.ids, part.offsets[:-1], part.offsets[1:], strict=True):
            if utterance in spoken:
                pause = find_pauses(part.frames[start:end, 0], threshold, min_pause=min_pause)
                spread = equal_alignment(words, words.graph_of[utterance], int((~pause).sum()), rng)
                if spread is not None:
                    ids[start:end][~pause] = spread
                    ids[start:end][pause] = _silences(silence, pause, rng)
    return all_ids, failures


def _silences(silence: TrainingGraphs, pause: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The transition ids of the frames in pauses: each pause is spread over the states of one silence."""
    pieces = [equal_alignment(silence, 0, end - start, rng) for start, end in stretches(pause, True)]
    return np.concatenate([p for p in pieces if p is not None] or [np.zeros(0, np.int32)])


def find_pauses(
    loudness: np.ndarray, threshold: float, *, min_pause: int = MIN_PAUSE, min_speech: int = MIN_SPEECH
) -> np.ndarray:
    """bool (n_frames,): the frames of pauses.

    Args:
        loudness: (n_frames,). Frames below `threshold` are quiet; louder stretches shorter than `min_speech` count as
            quiet too, then quiet stretches shorter than `min_pause` as speech.

    Examples:
        >>> find_pauses(np.array([0, 0, 0, 1, 0, 1, 1, 1, 0, 1]), 0.5, min_pause=2, min_speech=2).astype(int)
        array([1, 1, 1, 1, 1, 0, 0, 0, 1, 1])
    """
    pause = np.asarray(loudness) < threshold
    for kind, shortest in ((False, min_speech), (True, min_pause)):
        for start, end in list(stretches(pause, kind)):
            if end - start < shortest:
                pause[start:end] = not kind
    return pause
