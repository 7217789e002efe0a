"""Training a language model that is a network."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...errors import LanguageModelError
from ...features.table import FeatureTable
from ...lm.vocabulary import START_ID, Sentence, Vocabulary
from ..batches import Examples
from ..losses import FrameCrossEntropy
from ..options import TrainingOptions
from ..training import TrainingResult, train_network
from .config import Kind, WordNetworkConfig
from .model import NeuralModel
from .networks import build_words

OPTIONS = TrainingOptions(learning_rate=3e-3, max_epochs=40, patience=4, batch_frames=256, gradient_clip=1.0)
"""How such networks are trained where nothing else is said; a batch has so many words."""

_LARGE_BATCH = 2048  # of a text with millions of words, whose gradients are alike enough


def train_words(
    sentences: Sequence[Sentence],
    held_out: Sequence[Sentence],
    config: WordNetworkConfig | Kind = "lstm",
    options: TrainingOptions | None = None,
    *,
    folder: Path,
    vocabulary: Iterable[str] | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] | None = None,
) -> tuple[NeuralModel, TrainingResult]:
    """A network that predicts the words of some sentences, as it predicts held-out ones best.

    Args:
        config: sizes, or the kind of network whose sizes are to suit a text of this length.
        options: None: `OPTIONS`, with larger batches for a large text.
        folder: for checkpoints and curves, see `train_network`; a training that was interrupted goes on from there.
        vocabulary: the words to tell apart, others count as `<unk>`; None: all of `sentences`.
        progress: as of `train_network`.

    Raises:
        LanguageModelError: where there are no sentences to learn from or to hold out.
        ModelError: see `train_network`.
    """
    if not sentences or not held_out:
        raise LanguageModelError(
            f"{len(sentences)} sentences to learn from, {len(held_out)} held out; need one of each at least"
        )
    if vocabulary is None:
        vocabulary = {word for s in sentences for word in (s.split() if isinstance(s, str) else s)}
    words = Vocabulary.of(vocabulary)
    train, check = _examples(words, sentences), _examples(words, held_out)
    if isinstance(config, str):
        config = WordNetworkConfig.for_text(train.n_frames, config)
    if options is None:
        options = OPTIONS if train.n_frames < 2_000_000 else replace(OPTIONS, batch_frames=_LARGE_BATCH)
    network = build_words(config, len(words), seed=options.seed)
    loss = FrameCrossEntropy()
    result = train_network(network, loss, train, check, options, folder=folder, device=device, progress=progress)
    return NeuralModel(words, network.cpu(), config), result


def _examples(vocabulary: Vocabulary, sentences: Sequence[Sentence]) -> Examples:
    """Sentences as utterances: a frame for each token but the last, its target the token after it."""
    ids = vocabulary.encode(sentences)
    starts = np.flatnonzero(ids == START_ID)
    is_last = np.append(starts[1:], len(ids)) - 1
    inputs = np.delete(ids, is_last).astype(np.float32)  # exact: there are fewer than 2**24 words
    targets = np.split(np.delete(ids, starts), (starts - np.arange(len(starts)))[1:])
    names = [str(number) for number in range(1, len(starts) + 1)]
    offsets = np.append(starts - np.arange(len(starts)), len(inputs))
    return Examples(FeatureTable(names, inputs[:, None], offsets), dict(zip(names, targets, strict=True)))
