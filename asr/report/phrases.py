"""Numbers and names in words: what an error rate means, what a system is, what the terms of a page are."""

from collections.abc import Iterable, Mapping

from ..display.brief import many
from ..scoring import Score
from .page import Headline, Section, rendered
from .results import ResultRow

MODELS = {
    "mono": "monophones",
    "tri": "triphones",
    "lda-mllt": "triphones with LDA and MLLT",
    "sat": "speaker-adapted triphones",
    "dnn-hmm": "a network with HMMs",
    "tdnn-lfmmi": "a network trained by LF-MMI",
    "rnn-ctc": "a recurrent network with CTC",
    "cnn-lstm-ctc": "a CNN and LSTM with CTC",
    "ctc-attention": "a network with CTC and attention",
    "ctc": "a network with CTC",
}
"""The stages and systems by their names in results."""

_FEATURES = {"mfcc": "MFCC", "fbank": "log mel filters", "lpcc": "LPC cepstra", "fmllr": "adapted MFCC"}
_ADAPTATIONS = {
    "none": "without adaptation",
    "speaker": "adapted to each speaker",
    "session": "adapted to each session",
    "utterance": "adapted to each utterance",
}
_UNITS = {"wer": "words", "cer": "characters", "per": "units of sound"}

_TESTS = {
    "official": "the official test",
    "loso": "speakers left out in turn",
    "connected-official": "connected words, the official test",
    "connected-loso": "connected words, speakers left out in turn",
    "synth": "synthesised speech",
    "dev": "the development set",
}

TERMS = {
    "WER": "Word error rate: the words that were recognised wrong, left out or put in though nobody said them, in "
    "percent of the words that were said. It can exceed 100 %.",
    "CER": "Character error rate: as of words, but of letters and the blanks between words. It says more where there "
    "are few words, or where most errors are of one letter.",
    "PER": "Phone error rate: as of words, but of the units of sound, one after another, that were recognised.",
    "held out": "Kept away from training, so that the errors say what new recordings will be like.",
    "by chance": "Another draw of as many recordings would give another number. A 95 % interval holds what 19 of 20 "
    "such draws would give; differences within it mean nothing.",
    "monophones": "The first stage: a small model of each sound, whatever its neighbours.",
    "triphones": "The second stage: a model of each sound between its two neighbours.",
    "LDA and MLLT": "The third stage: several frames of sound together, turned so that the sounds differ most.",
    "speaker-adapted": "The last stage: what is peculiar to a voice is taken out by a transform of its features "
    "(fMLLR), which is found from what a first pass recognised. A full transform needs 5 s of speech of a speaker. "
    "From 2 s on a scale and an offset of each feature are found (a diagonal one). Below, an offset alone: the mean is "
    "moved, and no more.",
    "acoustic scale": "How much the sound counts against the language model: the larger, the more.",
    "insertion penalty": "What each recognised word costs: the larger, the fewer and longer words come out.",
    "log-likelihood": "How well the model explains a frame of 10 ms of training speech; it should rise and level off.",
    "Gaussians": "The bells that a model describes each sound with; training begins with few and splits them.",
    "epoch": "One round of a network's training through all of the training speech.",
    "decode RTF": "Real-time factor: seconds of work for a second of sound.",
    "OOV": "Out of vocabulary: a word that the recogniser does not know and therefore cannot output.",
}
"""What the terms of a page mean."""


def headline(score: Score, where: str, second: Score | None = None, unit: str = "") -> Headline:
    """The headline of an error rate.

    Args:
        where: what was recognised, as in "20 recordings that it was not trained on".
        second: another count of the same, shown beside it.
        unit: what is counted, in the plural; known for words and characters.
    """
    name = unit or _UNITS["wer" if score.unit == "word" else "cer"]
    beside = None if second is None else (percent(second.rate), _label(second))
    told = (_errors(score, name, where), _chance(score), *([_use(score.rate)] if name == "words" else []))
    return Headline(percent(score.rate), _label(score, name), told, beside)


def percent(rate: float) -> str:
    """A rate for people: 0.56 %, 4.3 %, 82.5 %.

    Examples:
        >>> [percent(x) for x in (0.0, 0.563, 4.31, 82.5)]
        ['0 %', '0.56 %', '4.3 %', '82.5 %']
    """
    digits = 0 if rate == 0 else 1 if rate >= 2 else 2  # as the tables have it, or half of it would be seen
    return f"{rate:.{digits}f} %"


def share_in_words(rate: float, unit: str = "words") -> str:
    """A rate as a share.

    Examples:
        >>> [share_in_words(x) for x in (0.56, 4.31, 33.0, 79.2, 104.0)]
        ['1 in 180 words', '1 in 23 words', '1 in 3 words', '8 in 10 words', 'more errors than words']
    """
    if rate > 100:
        return f"more errors than {unit}"
    if rate >= 40:
        return f"{round(rate / 10)} in 10 {unit}"
    count = 100 / rate
    return f"1 in {round(count) if count < 100 else round(count, -1):.0f} {unit}"


def system_in_words(row: ResultRow) -> str:
    """What a row of the results is of: "monophones on MFCC (causal), without adaptation"."""
    kind, _, rest = row.features.partition("-")
    features = " ".join(filter(None, (_FEATURES.get(kind, kind), rest.replace("-", " "))))
    variant = f" ({row.variant})" if row.variant else ""
    adaptation = _ADAPTATIONS.get(row.adaptation, row.adaptation)
    return f"{MODELS.get(row.model, row.model)} on {features}{variant}, {adaptation}"


def test_in_words(name: str) -> str:
    """What a test of a recipe is of."""
    return _TESTS.get(name, f"the test {name}")


def sentence(text: str) -> str:
    """A text that begins with a capital letter."""
    return text[:1].upper() + text[1:]


def glossary_section(terms: Iterable[str], more: Mapping[str, str] | None = None) -> Section:
    """What some of TERMS mean, in this order, and more of the same kind."""
    told = {term: TERMS[term] for term in terms} | dict(more or {})
    return Section("The words of this page", rendered("glossary", terms=told), wide=True)


def _label(score: Score, name: str = "") -> str:
    rate = {"words": "word error rate", "characters": "character error rate"}
    return rate.get(name or _UNITS["wer" if score.unit == "word" else "cer"], f"error rate of {name}")


def _errors(score: Score, unit: str, where: str) -> str:
    of = f"{score.total:,} {unit}"
    if not score.errors:
        return f"Nothing is wrong: no error in {of} of {where}."
    share = share_in_words(score.rate, unit)
    if share[0].isdigit():
        share = f"about {share} {'is' if share.startswith('1 in') else 'are'} wrong"
    return f"{sentence(share)}: {many(score.errors, 'error')} in {of} of {where}."


def _chance(score: Score) -> str:
    if not score.total or len(score.utterances) < 2:
        return "With so little there is no telling what other recordings would give."
    if not score.errors:  # the rule of three
        return f"With so few, a rate of up to {percent(min(100.0, 300 / score.total))} could have hidden."
    low, high = score.interval()
    digits = 0 if low >= 10 else 1 if high >= 2 else 2
    return f"By chance alone, other recordings like these would give {low:.{digits}f} to {high:.{digits}f} %."


def _use(rate: float) -> str:
    """What can be done with transcripts of so many word errors."""
    if rate < 5:
        return "Transcripts can be used as they are, or after a glance."
    if rate < 15:
        return "Transcripts are easily corrected by hand."
    if rate < 35:
        return "Good enough to search recordings for words; correcting by hand takes patience."
    return "Too many to read the transcripts; they tell where somebody speaks, and some of the words."
