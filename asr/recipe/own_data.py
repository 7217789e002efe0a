"""A recogniser from anybody's recordings and transcripts: what is there is checked first, then everything is trained.

`planned` says in seconds what will be done and what is wrong; `train_recogniser` does it, in stages that are kept, so
that the same call goes on where an interrupted one stopped.
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from ..corpus.core import Corpus
from ..corpus.hints import speaker_hint
from ..display.brief import brief_repr, many
from ..errors import AsrError, ConfigError, CorpusError
from ..extras import require_torch
from ..features.pipeline import FeaturePipeline
from ..lang.letters import LetterTable
from ..lang.lexicon import Lexicon
from ..lang.sources import LETTERS, BuiltLexicon, build_lexicon, check_sources
from ..lang.subwords import JOIN, Parts, frequent_words, take_apart, vowels_of
from ..lm.text import read_sentences
from ..train.ladder import STAGES, check_stages
from .own_text import Readable, readable

logger = logging.getLogger(__name__)

Vocabulary = Literal["closed", "open"]

CTC = "ctc"
"""The stage that stands for all of the ladder: a network without HMMs."""

MFCC = {"kind": "mfcc", "options": {"use_energy": False}}
FILTERS = {"kind": "fbank", "options": {"num_mel_bins": 40}}

FEWEST = 10  # utterances of a corpus that is split in two
MOST_HELD_OUT = 300  # utterances, unless more are asked for
FEWEST_WHOLE = 2  # times that a word must come in the transcripts to be whole in an open vocabulary
_SHOWN = 8  # words in a line
_TRIED = 30  # recordings that are decoded before all else
_LONG = 120.0  # s; longer ones would take too long to try
_HEARD = 50  # recordings whose sampling rate is looked at


@dataclass(frozen=True, eq=False)
class Plan:
    """What a recogniser is going to be trained on, and how.

    Attributes:
        train: the two parts of the corpus.
        held_out: the two parts of the corpus.
        by_speaker: whether no speaker is in both.
        lexicon: the words that can be recognised.
        oov: words of the training transcripts without pronunciation, with counts; utterances with one are not trained
            on.
        text: more sentences for the language model.
        pipeline: front-end and normalisation.
        notes: what a person should know, a line each.
        parts: of an open vocabulary, the rare words in their parts, and how all parts are said; None: only the
            lexicon's words can come out.
        letters: how words are spelled, where letters are among the sources of the lexicon.
    """

    train: Corpus
    held_out: Corpus
    by_speaker: bool
    lexicon: Lexicon
    oov: dict[str, int]
    text: tuple[tuple[str, ...], ...]
    pipeline: FeaturePipeline
    stages: tuple[str, ...]
    order: int
    notes: tuple[str, ...]
    parts: Parts | None = None
    letters: LetterTable | None = None

    def __repr__(self) -> str:
        return brief_repr(self)

    @property
    def vocabulary(self) -> Lexicon:
        """All that the language model knows: words, and parts of words where there are any."""
        parts = () if self.parts is None else self.parts.entries
        return replace(self.lexicon, entries=(*self.lexicon.entries, *parts))


def planned(
    corpus: Corpus,
    *,
    sources: Sequence[str] = ("letters",),
    text: Path | None = None,
    stages: Sequence[str] = STAGES,
    held_out: str = "",
    order: int | None = None,
    vocabulary: Vocabulary = "closed",
    as_is: bool = False,
    language: str = "",
) -> Plan:
    """The plan for a corpus; everything that can be checked before the work begins is checked.

    Args:
        sources: of pronunciations, see build_lexicon.
        text: a file with more sentences for the language model.
        held_out: a number of utterances, or `speaker:NAME` with one name or several separated by commas; a tenth of the
            utterances, at most 300, if empty. Which utterances, is up to their ids alone.
        stages: of the ladder (asr.train.ladder.STAGES), or ctc alone, which is a network without HMMs and needs torch.
        order: of the n-grams; None: 3, or 4 where words are in parts.
        vocabulary: "closed": what can be recognised are the words of the transcripts and the text; "open": these, and
            new ones made of their syllables. That needs words that are said as they are spelled: one source, of
            letters.
        as_is: whether transcripts and text stay as they are; otherwise they are made into words, see
            asr.recipe.own_text.
        language: of these, for their numbers.

    Raises:
        AsrError: for whatever would make training fail later.
    """
    _check_stages(stages)
    _check_vocabulary(vocabulary, sources)
    check_sources(sources)
    spoken = [u for u in corpus if u.text]
    if not spoken:
        raise CorpusError("no recording of the corpus has a transcript; put X.txt beside X.wav, or see --text-suffix")
    corpus, words_of, text_notes = _in_words(Corpus(spoken, corpus.problems), sources, as_is, language)
    train, kept, by_speaker = _parted(corpus, held_out)
    said = list(train.transcripts().values())
    sentences = [] if text is None else [tuple(words_of(" ".join(words)).split()) for words in read_sentences(text)]
    sentences = [words for words in sentences if words]
    built = build_lexicon([*said, *map(" ".join, sentences)], list(sources))
    lexicon, unspoken = _of_spoken_phones(built, said, first_only=CTC in stages)
    oov = lexicon.oov_words(said)
    n_whole = sum(not lexicon.oov_words([line]) for line in said)
    if n_whole < FEWEST // 2:
        raise CorpusError(f"{n_whole} training transcripts have a pronunciation for each word: {_counted(oov)}")
    parts = None if vocabulary == "closed" else _parts(lexicon, said, sources[0])
    notes = [*_tried(corpus), *_of_corpus(corpus, train, kept, by_speaker), *text_notes]
    notes += [*_of_words(lexicon, parts, said, kept, n_whole), *_of_unspoken(text, unspoken)]
    order = order or (3 if parts is None else 4)
    plan = Plan(
        train, kept, by_speaker, lexicon, oov, tuple(sentences), _pipeline(corpus, stages), tuple(stages), order,
        tuple(notes), parts, _letters(lexicon, sources),
    )  # fmt: skip
    logger.info("planned: %s", "; ".join(notes))
    return plan


def _in_words(corpus: Corpus, sources: Sequence[str], as_is: bool, language: str) -> Readable:
    """The corpus with transcripts as words, or as it is."""
    return Readable(corpus, str, []) if as_is else readable(corpus, sources, language=language)


def _parted(corpus: Corpus, held_out: str) -> tuple[Corpus, Corpus, bool]:
    """The training part, the one held out, and whether they share no speaker."""
    n, by_name = len(corpus), held_out.startswith("speaker:")
    if n < FEWEST:
        raise CorpusError(
            f"the corpus has {many(n, 'utterance')} with a transcript; {FEWEST} or more are needed, better 200"
        )
    if by_name:
        names = [name for name in held_out.removeprefix("speaker:").split(",") if name]
        unknown = [name for name in names if name not in corpus.speakers]
        if unknown or not names:
            there = f"{len(corpus.speakers)} speakers: {_few(corpus.speakers)}"
            raise CorpusError(f"no speaker {', '.join(unknown) or '(empty)'} to hold out; the corpus has {there}")
        chosen = {u.id for u in corpus if u.speaker in names}
    else:
        if held_out and not (held_out.isdigit() and int(held_out) > 0):
            raise CorpusError(f"held out {held_out!r}: need a number of utterances above 0, or speaker:NAME")
        size = int(held_out) if held_out else min(MOST_HELD_OUT, max(2, n // 10))
        order = sorted(corpus.ids, key=lambda u: hashlib.sha256(u.encode()).digest())
        chosen = set(order[:size])
    if n - len(chosen) < FEWEST // 2 or not chosen:
        raise CorpusError(
            f"{len(chosen)} of {n} utterances held out leave {n - len(chosen)} to train on; hold out less"
        )
    train, kept = corpus.where(lambda u: u.id not in chosen), corpus.where(lambda u: u.id in chosen)
    return train, kept, not set(train.speakers) & set(kept.speakers)


def _of_spoken_phones(
    built: BuiltLexicon, said: Sequence[str], *, first_only: bool = False
) -> tuple[Lexicon, list[str]]:
    """The lexicon without words that have a phone of no training transcript, and these words.

    Utterances with unknown words are skipped, unless the lexicon says otherwise.

    Args:
        first_only: words are trained as their first pronunciation has it, as with CTC.
    """
    lexicon = built.lexicon if built.lexicon.oov != "error" else replace(built.lexicon, oov="skip")
    words = {word for line in said for word in line.split()}
    spoken = [e for e in lexicon.entries if e.word in words]
    if first_only:
        spoken = list({e.word: e for e in reversed(spoken)}.values())
    known = {phone for e in spoken for phone in e.phones} | {lexicon.silence_phone}
    unspoken = sorted({e.word for e in lexicon.entries if e.word != lexicon.unk and not known.issuperset(e.phones)})
    left = set(unspoken)
    return replace(lexicon, entries=tuple(e for e in lexicon.entries if e.word not in left)), unspoken


def _pipeline(corpus: Corpus, stages: Sequence[str]) -> FeaturePipeline:
    """MFCC of the recordings, log mel filters for CTC, or features that a corpus without recordings brings along."""
    mean = {"kind": "cmvn", "mode": "speaker"}
    if any(u.audio is not None for u in corpus):
        return FeaturePipeline(_rate(corpus), (FILTERS if CTC in stages else MFCC, mean))
    from ..features.archive import read_matrix

    first = next((u.features for u in corpus if u.features is not None), None)
    if first is None:
        raise CorpusError("the corpus has neither recordings nor features")
    return FeaturePipeline(0, ({"kind": "given", "dim": int(read_matrix(first).shape[1])}, mean))


def _rate(corpus: Corpus) -> int:
    """16 kHz, or 8 kHz where some of the recordings have no more."""
    from .. import audio

    rates, utterances = [], [u for u in corpus if u.audio is not None]
    for utterance in utterances[:: max(1, len(utterances) // _HEARD)]:
        try:
            rates.append(audio.describe(utterance.audio).rate)  # type: ignore[arg-type]
        except AsrError:
            continue  # what is wrong with it is reported when it is read
    return 8000 if rates and min(rates) < 16000 else 16000


def _tried(corpus: Corpus) -> list[str]:
    """A line where most of some recordings from all over the corpus cannot be used: that is said before hours of work.

    Raises:
        CorpusError: where not one of them can.
    """
    from .. import audio

    short = [u for u in corpus if u.audio is not None and (u.end or 0.0) - (u.start or 0.0) < _LONG]
    refused, tried = [], short[:: max(1, len(short) // _TRIED)]
    for utterance in tried:
        channel = "mix" if utterance.channel is None else utterance.channel
        try:
            if utterance.end is not None or (audio.describe(utterance.audio).duration_seconds or 0.0) < _LONG:  # type: ignore[arg-type]
                audio.read(utterance.audio, channel=channel, start=utterance.start, end=utterance.end)  # type: ignore[arg-type]
        except AsrError as error:
            refused.append(str(error))
    if not refused or len(refused) <= len(tried) / 2:
        return []
    what = f"{len(refused)} of {len(tried)} recordings from all over the corpus cannot be used: {refused[0]}"
    if len(refused) == len(tried) and all(u.features is None for u in tried):
        raise CorpusError(what)
    return [f"{what}; expect as many of all to be left out"]


def _of_corpus(corpus: Corpus, train: Corpus, kept: Corpus, by_speaker: bool) -> list[str]:
    """Lines about the corpus and its parts."""
    how = (
        "by speaker: none of theirs is trained on" if by_speaker else "by utterance: their speakers are trained on, too"
    )
    size = f"{many(len(corpus), 'utterance')} of {many(len(corpus.speakers), 'speaker')}"
    lines = [size, f"{len(train)} for training, {len(kept)} held out ({how})"]
    if len(corpus.speakers) == len(corpus):
        hint = speaker_hint([u.audio for u in corpus if u.audio is not None]) or "see --speaker"
        lines = [f"{size}: every recording counts as a speaker of its own ({hint})", lines[1].partition(" (")[0]]
    known = set(train.transcripts().values())
    n_same = sum(text in known for text in kept.transcripts().values())
    if n_same:
        lines.append(
            f"{n_same} of the {len(kept)} held-out sentences are in the training part, too, word by word: the error "
            f"rates tell {'' if n_same == len(kept) else 'partly '}of new recordings of these, not of new sentences"
        )
    return lines


def _of_words(lexicon: Lexicon, parts: Parts | None, said: list[str], kept: Corpus, n_whole: int) -> list[str]:
    """Lines about words that are known, and those that are not."""
    lines = [
        f"{many(lexicon.n_words, 'word')}, {lexicon.n_phones - 1} phones or letters to build them from, and silence"
    ]
    oov = lexicon.oov_words(said)
    if oov:
        rate = 100 * sum(oov.values()) / sum(len(line.split()) for line in said)
        n_skipped = len(said) - n_whole if lexicon.oov == "skip" else 0
        lines.append(
            f"{len(oov)} words of the transcripts ({rate:.1f} % of the text) have no pronunciation; {n_skipped} "
            f"utterances are left out for it: {_counted(oov)}"
        )
    if parts is not None:
        lines.append(
            f"open vocabulary: {lexicon.n_words - len(parts.words)} words are whole, {len(parts.words)} rare ones in "
            f"parts; the {len(parts.entries)} parts make new words, too (a part ends after {' '.join(parts.vowels)})"
        )
    return lines + _of_new_words(lexicon, parts, list(kept.transcripts().values()))


def _of_unspoken(text: Path | None, words: Sequence[str]) -> list[str]:
    """A line about words of the text that have sounds which are not in the training part, if there are any."""
    why = "are left out: they have letters or phones that nobody says in the training part"
    return [f"{len(words)} words of {text} {why}: {_few(words)}"] if words else []


def _of_new_words(lexicon: Lexicon, parts: Parts | None, spoken: list[str]) -> list[str]:
    """A line about the held-out words that nothing was trained on, if there are any."""
    unknown = lexicon.oov_words(spoken)
    if not unknown:
        return []
    count, n = sum(unknown.values()), sum(len(line.split()) for line in spoken)
    line = f"{count} of the {n} held-out words ({100 * count / n:.1f} %) are in no training transcript nor text, "
    if parts is None:
        return [line + "so they cannot be recognised; a larger text (--lm-text) helps, or --vocabulary open"]
    n_made = sum(times for word, times in unknown.items() if parts.can_make(word))
    return [line + f"but {n_made} of these can be put together from parts"]


def _check_stages(stages: Sequence[str]) -> None:
    """Raise ConfigError for stages that cannot be trained, and AsrError where they need torch and there is none."""
    if tuple(stages) == (CTC,):
        require_torch()
    elif CTC in stages:
        raise ConfigError(f"stages {', '.join(stages)}: {CTC} needs no other stages, and none can follow it")
    else:
        check_stages(stages)


def _check_vocabulary(vocabulary: str, sources: Sequence[str]) -> None:
    """Raise ConfigError for a vocabulary that is none, or cannot be open."""
    if vocabulary not in ("closed", "open"):
        raise ConfigError(f"vocabulary {vocabulary!r}; need closed or open")
    if vocabulary == "open" and [source.partition(":")[0] for source in sources] != [LETTERS]:
        raise ConfigError(
            f"an open vocabulary is made of parts of words, which must be said as they are spelled; the lexicon is of "
            f"{', '.join(sources)}: give {LETTERS} or {LETTERS}:TABLE alone, or keep the vocabulary closed"
        )


def _parts(lexicon: Lexicon, said: Sequence[str], source: str) -> Parts:
    """The rare words of a lexicon of letters in parts, and all parts."""
    signs = [entry.word for entry in lexicon.entries if entry.word.strip(JOIN) != entry.word]
    if signs:
        raise CorpusError(
            f"{JOIN!r} at the end of words is the sign where parts join; write them without: {_few(signs)}"
        )
    table = _letters(lexicon, [source]) if ":" in source else None
    found = take_apart(lexicon, table, vowels_of({word for line in said for word in line.split()}))
    frequent = frequent_words(said, FEWEST_WHOLE)
    return found._replace(words={word: text for word, text in found.words.items() if word not in frequent})


def _letters(lexicon: Lexicon, sources: Sequence[str]) -> LetterTable | None:
    """How words are spelled, if some are: the table that was given, or else the letters of the words."""
    source = next((s for s in sources if s.partition(":")[0] == LETTERS), None)
    if source is None:
        return None
    _, is_table, path = source.partition(":")
    return LetterTable.load(path) if is_table else LetterTable.of(entry.word for entry in lexicon.entries)


def _counted(words: dict[str, int]) -> str:
    return _few([f"{word} ({count})" for word, count in words.items()])


def _few(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_SHOWN]) + (f", and {len(names) - _SHOWN} more" if len(names) > _SHOWN else "")


def check_place(out: Path) -> None:
    """Raise AsrError unless a recogniser can be left there: a folder of an earlier run, an empty one, or none yet."""
    from ..files import kind_of

    kind = kind_of(out)
    if kind not in ("missing", "folder"):
        raise AsrError(f"{out}: is no folder; give OUT another name")
    try:
        others = [] if kind == "missing" else [p.name for p in out.iterdir() if not p.name.startswith(".")]
        if others and not (out / "work").is_dir():
            raise AsrError(f"{out}: holds other files ({_few(sorted(others))}); give OUT a new name")
        (out / "work").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AsrError(f"{out}: cannot be written ({error.strerror or error}); give OUT another name") from None
