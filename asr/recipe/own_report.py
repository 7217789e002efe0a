"""The report of `asr train`: what came out, what it means, where to listen, and what to do next."""

import logging
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.brief import many
from ..errors import AsrError, AudioError
from ..gmm.schedule import PassRecord
from ..model.model import load
from ..report import (
    Player,
    Section,
    alignment_section,
    check_plotting,
    confidence_section,
    confusion_section,
    doubtful_section,
    glossary_section,
    headline,
    list_section,
    network_section,
    run_facts,
    speaker_section,
    stages_section,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from ..report.phrases import MODELS
from ..report.sections import note_html, table
from ..report.sound import read_utterance
from ..scoring import Score, score
from ..train.tuning import TuningPoint
from .own_data import CTC, Plan
from .own_evidence import Evidence
from .own_outcome import LADDER_HOURS, Outcome

logger = logging.getLogger("asr.recipe")

DOUBTFUL = -3.5  # robust standard deviations below the median of all fits; the usual bound of outliers
SHOWN = 12  # transcripts, and worst utterances
FEWEST_SHOWN = 5  # transcripts that fit worst, where none is doubtful
LITTLE = 1.0  # hours of speech


@dataclass(frozen=True)
class Left:
    """What the steps of training have left.

    Attributes:
        references: of the held-out utterances, id -> words.
        hypotheses: of the held-out utterances, id -> words.
        points: what was tried in tuning.
        stages: stage -> what was recognised after it.
        logs: stage -> the passes of its training, in order.
        curves: of networks, by name.
        sure: confidences of words, and whether they are right, see `HeldOut`.
    """

    references: dict[str, str]
    hypotheses: dict[str, str]
    points: list[TuningPoint]
    evidence: Evidence
    stages: Mapping[str, Mapping[str, str]]
    logs: Mapping[str, list[PassRecord]]
    curves: Mapping[str, Any]
    sure: list[tuple[float, bool]]


@dataclass(frozen=True)
class Doubt:
    """A transcript that may not be what was said: its utterance, and why, in words."""

    id: str
    why: str


def write_own_report(plan: Plan, out: Path, outcome: Outcome, left: Left, seed: int) -> Path | None:
    """OUT/report.html; None where matplotlib is missing."""
    try:
        check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return None
    words, characters = (score(left.references, left.hypotheses, unit=unit) for unit in ("word", "char"))
    where = f"{many(len(left.references), 'recording')} that it was not trained on"
    if not plan.by_speaker:
        where += ", of people that it has heard in training"
    if len(left.references) > 1:
        where += " (each half decoded with the settings that suit the other half)"
    return write_report(
        out / "report.html",
        title=f"A recogniser of {many(plan.lexicon.n_words, 'word')}{' and new ones' if plan.parts else ''}",
        sections=_sections(plan, outcome, left, words),
        headline=headline(words, where, characters),
        facts=run_facts(seed=seed, hours_of_speech=f"{outcome.hours:.2f}", folder=str(out), model=str(outcome.model)),
    )


def _sections(plan: Plan, outcome: Outcome, left: Left, words: Score) -> list[Section]:
    """All of the page, in its order."""
    player, fit = Player(), left.evidence.fit
    doubts = doubtful(fit, left.evidence.unaligned)
    held = {u.id: u for u in plan.held_out}
    system = f"{MODELS[plan.stages[-1]].capitalize()}, on the utterances held out"
    worst = utterance_section(
        left.references, left.hypotheses, about=system, limit=SHOWN, play=lambda u: player.play(held.get(u))
    )
    by_speaker = {s: (x.errors, x.total) for s, x in words.by_speaker(plan.held_out.speaker_of).items()}
    halves = (
        "These errors are of the very utterances that the settings were chosen on, each speaker's recordings together, "
        "so they come out too low. The error rates at the top are not: each half of the utterances was decoded with "
        "what suits the other half."
    )
    return [
        list_section("What to do next", next_steps(plan, outcome, len(doubts)), commands=True),
        _results(outcome),
        *_stages(left, plan.stages),
        list_section("The data", [*plan.notes, outcome.trained]),
        worst,
        *_near(plan, outcome, left, player),
        _doubtful_section(plan.train, doubts, fit, player),
        *([confidence_section(left.sure, about=system)] if left.sure else []),
        confusion_section(words.confusions, about=system),
        tuning_section(left.points, unit="characters", about=system, note=halves),
        *([speaker_section(by_speaker, about=system)] if 1 < len(by_speaker) < len(plan.held_out) else []),
        _training(left, plan.stages),
        _glossary(plan.stages),
    ]


def next_steps(plan: Plan, outcome: Outcome, n_doubtful: int) -> list[str]:
    """What is worth doing with this recogniser, a sentence or two each, commands between backticks."""
    steps = [f"Transcribe new recordings: `asr transcribe {shlex.quote(str(outcome.model))} FILE ...`"]
    if outcome.hours < LITTLE:
        steps.append(
            f"Record more: {_length(outcome.hours)} of speech are little. 20 minutes is where recognition begins, and "
            "every doubling is worth more than any setting."
        )
    spoken = list(plan.held_out.transcripts().values())
    unknown, n = sum(plan.lexicon.oov_words(spoken).values()), sum(len(line.split()) for line in spoken)
    if unknown > 0.02 * n and plan.parts is None:
        steps.append(
            f"Give it more words: {unknown} of the {n} words held out are in no training transcript, so they cannot be "
            "recognised. `--lm-text FILE` adds those of a text; `--vocabulary open` makes new ones of syllables, where "
            "words are said as they are spelled."
        )
    if n_doubtful:
        steps.append(
            f"Listen to the {many(n_doubtful, 'doubtful transcript')} below and repair what is wrong. The same "
            "command then does again what depends on it."
        )
    if plan.stages == (CTC,) and outcome.hours < LADDER_HOURS:
        steps.append("Leave out `--stages ctc`: with so little speech the Gaussian models have fewer errors.")
    if outcome.earlier:
        steps.append(outcome.earlier)
    people = {u.speaker for part in (plan.train, plan.held_out) for u in part}
    if len(people) == len(plan.train) + len(plan.held_out):
        steps.append(
            "Say who speaks, if several recordings are of one person (`--speaker PATTERN`, or folders): it then adapts "
            "to each voice."
        )
    elif not plan.by_speaker and len(people) > 1:
        steps.append(
            f"See how unseen speakers would fare: `--held-out speaker:{shlex.quote(min(people))}` trains without that "
            "person."
        )
    return steps


def _length(hours: float) -> str:
    """A length of less than some hours in words: 46 seconds, 12 minutes."""
    return f"{3600 * hours:.0f} seconds" if hours < 2 / 60 else f"{60 * hours:.0f} minutes"


def _stages(left: Left, stages: Sequence[str]) -> list[Section]:
    """The errors after each stage, where there are several."""
    if len(stages) < 2:
        return []
    of_stage = left.stages
    same = {u: left.references[u] for u in left.references if all(u in found for found in of_stage.values())}
    lines = {
        name: {s: score(same, found, unit=unit, unknown_ids="ignore") for s, found in of_stage.items()}  # type: ignore[arg-type]
        for name, unit in (("words", "word"), ("characters", "char"))
    }
    about = f"On {many(len(same), 'utterance')} held out, decoded with what suits the last stage"
    return [stages_section(lines, about=about)]


def _results(outcome: Outcome) -> Section:
    """The errors as a table, with how the model adapted."""
    head = [("recognised", ""), ("WER, %", "number"), ("CER, %", "number")]
    body = [[name, f"{wer:.2f}", f"{cer:.2f}"] for name, (wer, cer) in outcome.rows.items()]
    told = f"Errors among {outcome.words:,} words and {outcome.characters:,} characters with the blanks between words."
    lines = "".join(note_html(f"{line[:1].upper()}{line[1:]}.") for line in outcome.adapted)
    if lines:
        told += " The model adapts to voices: the more of a speaker it hears together, the better it knows the voice."
    return Section("Errors on the recordings held out", table(head, body) + note_html(told) + lines)


def _near(plan: Plan, outcome: Outcome, left: Left, player: Player) -> list[Section]:
    """A held-out recording of middle length over time; nothing where there are only features."""
    ordered = sorted(left.references, key=lambda u: (len(left.references[u]), u))
    shown = plan.held_out[ordered[len(ordered) // 2]]
    if shown.audio is None:
        return []
    model = load(outcome.model)
    try:
        samples, _ = read_utterance(shown, model.sample_rate)
    except (AudioError, OSError) as error:  # it is not there any more, which is no reason to have no page
        logger.warning("no picture of a recording in report.html: %s", error)
        return []
    transcript = model.transcribe(samples, model.sample_rate)
    return [
        alignment_section(
            samples,
            model.sample_rate,
            phones=[(p.phone, p.start, p.end) for p in transcript.phones],
            words=[(w.word, w.start, w.end) for w in transcript.words],
            name=f"{shown.id}, said: {shown.text}",
            sound=player.play(shown),
            about="A held-out recording of middle length, recognised alone",
        )
    ]


def doubtful(fit: Mapping[str, float], unaligned: Mapping[str, str]) -> list[Doubt]:
    """The transcripts that may not be what was said, the worst first.

    Those without an alignment come first, then those whose fit is more than 3.5 standard deviations below the median;
    the standard deviation is that of the middle of the values, so that bad ones do not hide one another.

    Args:
        fit: utterance id -> see asr.recipe.own_evidence.
        unaligned: utterance id -> why no alignment was found.
    """
    doubts = [Doubt(u, f"not aligned: {why.partition(';')[0]}") for u, why in unaligned.items()]
    if len(fit) > 3:
        values = np.array(list(fit.values()))
        median = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - median)))
        low = sorted((u for u in fit if fit[u] < median + DOUBTFUL * spread), key=lambda u: fit[u])
        doubts += [Doubt(u, f"fit {fit[u]:.2f}") for u in low]
    return doubts


def _doubtful_section(train: Corpus, doubts: Sequence[Doubt], fit: Mapping[str, float], player: Player) -> Section:
    usual = float(np.median(list(fit.values()))) if fit else 0.0
    shown = list(doubts[:SHOWN])
    if shown:
        lead = (
            f"{many(len(doubts), 'transcript')} of the {len(train):,} of the training part may not be what was said"
            f"{f'; here are the {SHOWN} worst' if len(doubts) > SHOWN else ''}."
        )
    else:
        lead = "No transcript of the training part stands out. Those that fit worst may well be right:"
        shown = [Doubt(u, f"fit {fit[u]:.2f}") for u in sorted(fit, key=lambda u: fit[u])[:FEWEST_SHOWN]]
    lead += (
        f" Fit: 0 where each sound of the transcript is the one that is heard there; half of all are above {usual:.2f}."
    )
    rows = [(d.id, train[d.id].text or "", d.why, player.play(train[d.id])) for d in shown]
    return doubtful_section(rows, lead=lead)


def _training(left: Left, stages: Sequence[str]) -> Section:
    """The passes of every stage, or the epochs of a network."""
    if tuple(stages) == (CTC,):
        return network_section(left.curves, about="The network, which was trained with CTC")
    passes = {s: [(p.iteration, p.log_likelihood, p.n_gaussians) for p in log] for s, log in left.logs.items()}
    return training_section(passes, same_features=False)


def _glossary(stages: Sequence[str]) -> Section:
    """The terms of this page."""
    ladder = {"mono": "monophones", "tri": "triphones", "lda-mllt": "LDA and MLLT", "sat": "speaker-adapted"}
    terms = ["WER", "CER", "held out", "by chance", *(ladder[s] for s in stages if s in ladder)]
    terms += ["acoustic scale", "insertion penalty"]
    return glossary_section([*terms, "epoch"] if CTC in stages else [*terms, "log-likelihood", "Gaussians"])
