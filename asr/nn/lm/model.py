"""A language model that is a network: probabilities of sentences, and its file."""

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from ...display.brief import many
from ...errors import AsrError, LanguageModelError
from ...files import give_usual_mode, replacing
from ...lm.perplexity import Perplexity, perplexity_of
from ...lm.vocabulary import START_ID, Sentence, Vocabulary
from ...options import from_table
from .config import WordNetworkConfig
from .networks import State, WordNetwork, build_words

SUFFIX = ".safetensors"
"""How the names of files end that hold such a model."""

_BATCH = 8192  # words scored at once, padding counted
_FORMAT = "hclg language model 1"


class NeuralModel:
    """A network that predicts words, beside the n-gram models of `asr.lm`.

    Args:
        network: in any mode; scoring is without dropout.

    Raises:
        LanguageModelError: where the network has not one output for each word.
    """

    def __init__(self, vocabulary: Vocabulary, network: WordNetwork, config: WordNetworkConfig) -> None:
        if network.n_outputs != len(vocabulary):
            raise LanguageModelError(f"a network of {network.n_outputs} words for a vocabulary of {len(vocabulary)}")
        self.vocabulary, self.network, self.config = vocabulary, network.eval(), config

    def __repr__(self) -> str:
        size = sum(p.numel() for p in self.network.parameters())
        return f"<NeuralModel: {self.config.kind}, {many(len(self.vocabulary), 'word')}, {many(size, 'parameter')}>"

    def token_log_probs(self, ids: np.ndarray) -> np.ndarray:
        """The natural-log probability of each token of a text after those before it in its sentence.

        Args:
            ids: int64 (n_tokens,), as `vocabulary.encode` returns them.

        Returns:
            float64 (n_tokens,); 0 for `<s>`.
        """
        starts = np.flatnonzero(ids == START_ID)
        lengths = np.diff(np.append(starts, len(ids))) - 1
        result = np.zeros(len(ids))
        for chosen in _batches(lengths):
            longest = int(lengths[chosen].max())
            places = starts[chosen][:, None] + np.arange(longest)
            real = np.arange(longest) < lengths[chosen][:, None]
            words = torch.from_numpy(np.where(real, ids[np.minimum(places, len(ids) - 1)], 0))
            following = np.where(real, ids[np.minimum(places + 1, len(ids) - 1)], 0)
            with torch.inference_mode():
                found = self._log_softmax(self.network.scores(self.network.rows(words)))
                found = found.gather(2, torch.from_numpy(following)[..., None])[..., 0]
            result[places[real] + 1] = found.numpy()[real]
        return result

    def score(self, sentence: Sentence) -> float:
        """The natural-log probability of a sentence, its end included; unknown words count as `<unk>`."""
        return float(self.token_log_probs(self.vocabulary.encode([sentence])).sum())

    def scores(self, sentences: Sequence[Sentence]) -> np.ndarray:
        """float64 (n_sentences,): `score` of each."""
        ids = self.vocabulary.encode(sentences)
        if not len(ids):
            return np.zeros(0)
        return np.add.reduceat(self.token_log_probs(ids), np.flatnonzero(ids == START_ID))

    def perplexity(self, sentences: Iterable[Sentence]) -> Perplexity:
        """How well the model foretells some sentences: see `Perplexity`."""
        ids = self.vocabulary.encode(sentences)
        return perplexity_of(ids, self.token_log_probs(ids))

    def start(self) -> tuple[np.ndarray, State]:
        """float64 (n_words,): log probabilities of a sentence's first word; and the state there, of one history."""
        return self.step(self.network.start(1), START_ID)

    def step(self, state: State, word: int) -> tuple[np.ndarray, State]:
        """float64 (n_words,): log probabilities of what comes after one word more, and the state then."""
        with torch.inference_mode():
            scores, after = self.network.step(state, torch.tensor([word]))
            return self._log_softmax(scores)[0].numpy(), after

    def _log_softmax(self, scores: torch.Tensor) -> torch.Tensor:
        """float64, without the start of a sentence, which never comes."""
        scores = scores.double()
        scores[..., START_ID] = -np.inf
        return torch.log_softmax(scores, dim=-1)

    def save(self, path: str | os.PathLike) -> None:
        """Write one file, whole or not at all: safetensors, with vocabulary and sizes in its header."""
        from safetensors.torch import save_file

        about = {
            "format": _FORMAT,
            "config": json.dumps(asdict(self.config)),
            "words": json.dumps(self.vocabulary.names),
        }
        tensors = {k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()}
        with replacing(path) as temporary:
            save_file(tensors, str(temporary), metadata={"format": _FORMAT, **about})
            give_usual_mode(temporary)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "NeuralModel":
        """The model of a file that `save` wrote.

        Raises:
            LanguageModelError: for another file, and one that is damaged.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(Path(path), framework="pt") as stored:
                about = stored.metadata() or {}
                tensors = {k: stored.get_tensor(k) for k in stored.keys()}  # noqa: SIM118 - it is not iterable
        except (OSError, SafetensorError) as error:
            raise LanguageModelError(f"{path}: not a neural language model, or damaged ({error})") from None
        if about.get("format") != _FORMAT:
            raise LanguageModelError(f"{path}: not a language model that `asr lm train --neural` wrote")
        try:
            config = from_table(WordNetworkConfig, json.loads(about["config"]), where="config: ")
            vocabulary = Vocabulary(tuple(json.loads(about["words"])))
            with torch.device("meta"):
                network = build_words(config, len(vocabulary))
            wanted = {k: v.shape for k, v in network.state_dict().items()}
            if wanted != {k: v.shape for k, v in tensors.items()}:
                raise LanguageModelError("its tensors are not those of its sizes")
            network.load_state_dict(tensors, assign=True)
        except (AsrError, KeyError, TypeError, ValueError) as error:
            raise LanguageModelError(f"{path}: damaged: {error}") from None
        if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
            raise LanguageModelError(f"{path}: damaged: a weight is not a finite number")
        return cls(vocabulary, network, config)


def _batches(lengths: np.ndarray) -> Iterable[np.ndarray]:
    """Sentences of similar length, together at most _BATCH words, or one."""
    order, begin = np.argsort(lengths, kind="stable"), 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - begin) * lengths[order[end]] > _BATCH:
            yield order[begin:end]
            begin = end
