"""Warnings of phones and words that the training data has not, or hardly, and of utterances that hardly align."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..display.brief import many
from ..hmm.transitions import TransitionModel

if TYPE_CHECKING:
    from ..lang.lexicon import Lexicon

_logger = logging.getLogger(__name__)

_SHOWN = 10  # names in one message
_SUSPECT_SHARE = 0.01  # of the utterances; if more need the retry beam, transcripts may be wrong or audio odd


def warn_of_untrained(lexicon: "Lexicon", transcripts: Mapping[str, Sequence[int]]) -> None:
    """Log the phones that no transcript has, and the words that need them, as a warning.

    Words that no transcript has, but whose phones are in others, are logged as info.

    Args:
        transcripts: utterance id -> word ids. A pronunciation variant counts as trained where its word is.
    """
    spoken = {lexicon.words.name(word) for words in transcripts.values() for word in words}
    trained = {phone for entry in lexicon.entries if entry.word in spoken for phone in entry.phones}
    if lexicon.silence_prob > 0:
        trained.add(lexicon.silence_phone)
    needed = {phone for entry in lexicon.entries for phone in entry.phones}
    untrained_words = list(dict.fromkeys(e.word for e in lexicon.entries if not trained.issuperset(e.phones)))
    if needed - trained:
        _logger.warning(
            "%s: no transcript has one, so they stay the average of all frames; words that need them: %s",
            _named("untrained phone", sorted(needed - trained)), _listed(untrained_words),
        )  # fmt: skip
    n_unseen = lexicon.n_words - len(spoken)
    if n_unseen > len(untrained_words):
        _logger.info("%s of the lexicon in no transcript; the phones of %d are trained without them",
                     many(n_unseen, "word"), n_unseen - len(untrained_words))  # fmt: skip


def warn_of_seldom(lexicon: "Lexicon", transitions: TransitionModel, counts: np.ndarray, least: float) -> None:
    """Log the speech phones of the transcripts with `least` frames or fewer in one of their states, as a warning.

    Frames of phones that share a distribution are counted together.

    Args:
        counts: float64 (n_transition_ids + 1,): how often the last alignment took each transition id.
    """
    of_pdf = np.bincount(transitions.pdf_of_id[1:], counts[1:], minlength=transitions.n_pdfs)
    phones, frames = transitions.tuples[:, 0], of_pdf[transitions.tuples[:, 2]]
    seldom = [
        lexicon.phones.name(int(phone))
        for phone in np.unique(phones)
        if phone != lexicon.silence_id and frames[phones == phone].sum() > 0 and frames[phones == phone].min() <= least
    ]
    if seldom:
        _logger.warning(
            "%s: %g frames or fewer in one of their HMM states, too few to estimate it; need more utterances",
            _named("hardly trained phone", seldom), least,
        )  # fmt: skip


def warn_of_retried(retried: Sequence[str], n_utterances: int) -> None:
    """Log the utterances that often needed the retry beam; as a warning if they are more than a usual share."""
    if retried:
        level = logging.WARNING if len(retried) > max(1.0, _SUSPECT_SHARE * n_utterances) else logging.INFO
        _logger.log(
            level, "%s of %d often needed the retry beam to be aligned; look at their transcripts and audio: %s",
            many(len(retried), "utterance"), n_utterances, _listed(retried),
        )  # fmt: skip


def _named(noun: str, names: Sequence[str]) -> str:
    return f"{many(len(names), noun)} ({_listed(names)})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
