"""What `asr train` recognises in the utterances held out, after each stage, and which transcripts of the training part
may not be what was said."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..ctc.align import ctc_align
from ..errors import ModelError
from ..files.json_files import read_json
from ..graph.arpa import arpa_grammar
from ..lm import NgramModel
from ..model.acoustic import log_posteriors
from ..model.confidence import calibrate, observed
from ..model.fit import Reference
from ..model.graphs import with_graph
from ..model.model import Model, load
from ..model.transcript import Transcript
from ..model.transcription import transforms_in_words
from ..scoring import compare, score
from ..train.data import Data
from ..train.decoding import decode_all
from ..train.stage import TrainedStage
from ..train.tuning import TuningPoint, add_tuning, at_edge, best_point, beyond, tune_decoding, with_tuning
from .searches import Texts
from .systems import read_texts, usable, write_json, write_texts

logger = logging.getLogger("asr.recipe")

MOST_DECODED = 100  # held-out utterances: enough to see the stages apart, few enough to cost little

WIDENINGS = 3  # times that the grid grows by a line where the best of it is at its edge


@dataclass(frozen=True, eq=False)
class HeldOut:
    """What was recognised in the utterances held out.

    Attributes:
        model: tuned on all of them.
        points: what was tried.
        together: what was recognised with each speaker's recordings together, and with each alone.
        alone: see `together`.
        adapted: how the model adapted for these two, in words.
        sure: of each word recognised in `alone` its confidence, by a calibrator learnt from the other half, and whether
            it is right; empty where there are too few words.
    """

    model: Model
    points: list[TuningPoint]
    references: Texts
    together: Texts
    alone: Texts
    adapted: tuple[str, str]
    sure: list[tuple[float, bool]]

    def save(self, folder: Path) -> None:
        """Write the model, tuning.json, and references.tsv, together.tsv and alone.tsv for `asr score`."""
        self.model.save(folder / "model")
        write_json(folder / "tuning.json", [vars(p) for p in self.points])
        for name in ("references", "together", "alone"):
            write_texts(folder / f"{name}.tsv", getattr(self, name))
        write_json(folder / "adapted.json", self.adapted)
        write_json(folder / "sure.json", self.sure)

    @classmethod
    def load(cls, folder: Path) -> "HeldOut":
        """What `save` wrote."""
        points = [TuningPoint(**p) for p in read_json(folder / "tuning.json", kind=list)]
        references, together, alone = (
            read_texts(folder / f"{name}.tsv") for name in ("references", "together", "alone")
        )
        first, second = read_json(folder / "adapted.json", kind=list)
        sure = [(p, right) for p, right in read_json(folder / "sure.json", kind=list)]
        return cls(load(folder / "model"), points, references, together, alone, (first, second), sure)


def recognise_held_out(
    model: Model, data: Data, ids: Sequence[str], progress: Callable[[int, int], None] = lambda done, total: None
) -> HeldOut:
    """A step: what the model recognises in each half of the held-out utterances when tuned on the other half.

    So each utterance is new to the options that it is decoded with; the model itself is tuned on all. What is made few
    are errors of characters: a small set has too few words, and words that nobody trained are wrong in any case.
    """
    whole = usable(data, ids)
    halves = [whole.select(ids[k::2]) for k in range(2)] if len(ids) > 1 else [whole]
    tables = _tuned(model, halves, progress)
    together: dict[str, Transcript] = {}
    alone: dict[str, Transcript] = {}
    for half, table in zip(halves, reversed(tables), strict=True):
        tuned = with_tuning(model, table)
        together |= decode_all(tuned, half).transcripts
        by_itself = replace(half, speakers={u: u for u in half.raw})
        alone |= decode_all(tuned.with_alternatives(), by_itself).transcripts
    points = add_tuning(tables)
    if edge := at_edge(points, best_point(points)):
        logger.warning("tuning: %s; beyond it may be better (Model.with_decoding)", edge)
    reference = Reference.of([t.evidence for t in alone.values() if t.evidence is not None])
    adapted = (
        transforms_in_words({whole.speakers[u]: t.transform for u, t in together.items()}),
        transforms_in_words({u: t.transform for u, t in alone.items()}),
    )
    first, second = ({u: found[u].text for u in ids} for found in (together, alone))
    calibrator = calibrate(whole.references, alone)
    tuned = replace(with_tuning(model, points), reference=reference, calibrator=calibrator)
    sure = _sure(whole.references, [{u: alone[u] for u in half.raw} for half in halves])
    return HeldOut(tuned, points, whole.references, first, second, adapted, sure)


def _sure(references: Texts, halves: Sequence[Mapping[str, Transcript]]) -> list[tuple[float, bool]]:
    """Confidences of the words of each half by a calibrator of the other, and whether they are right."""
    found = list[tuple[float, bool]]()
    for mine, other in zip(halves, reversed(halves), strict=True):
        calibrator = calibrate(references, other)
        if calibrator is None or len(halves) < 2:
            return []
        evidence, right = observed(references, mine)
        found += zip(calibrator.probabilities(evidence).round(4).tolist(), right.tolist(), strict=True)
    return found


def _tuned(model: Model, halves: Sequence[Data], progress: Callable[[int, int], None]) -> list[list[TuningPoint]]:
    """The errors of each half with every setting of a grid, which grows while the best of it is at its edge."""
    grid: Mapping[str, Sequence[float]] | None = {
        "acoustic_scales": model.units.acoustic_scales, "insertion_penalties": model.units.insertion_penalties,
    }  # fmt: skip
    n_settings = len(halves) * len(model.units.acoustic_scales) * len(model.units.insertion_penalties)
    done = iter(range(1, 10**9))

    def tried() -> None:
        progress(min(next(done), n_settings), n_settings)  # more are tried where the grid grows

    tables: list[list[TuningPoint]] = [[] for _ in halves]
    for _ in range(1 + WIDENINGS):
        if grid is not None:
            for table, half in zip(tables, halves, strict=True):
                table += tune_decoding(model, half, **grid, unit="char", progress=tried)
            grid = beyond(add_tuning(tables))
    return tables


@dataclass(frozen=True)
class Evidence:
    """What the report shows of stages and of transcripts.

    Attributes:
        recognised: stage -> utterance id -> words, of each stage but the last, on some of the held-out utterances.
        fit: utterance id -> see `transcript_fit`.
        unaligned: utterance id -> why it was of no use in training.
    """

    recognised: dict[str, dict[str, str]]
    fit: dict[str, float]
    unaligned: dict[str, str]


def gather_evidence(
    models: Mapping[str, TrainedStage],
    data: Data,
    ids: Sequence[str],
    held_out: Sequence[str],
    tested: HeldOut,
    ngram: NgramModel,
    progress: Callable[[int, int], None],
) -> Evidence:
    """A step: what the report shows of stages before the last, and of the transcripts that were trained on.

    Args:
        models: stage -> what was trained, in order.
        ids: utterances that were trained on.
        tested: has the last stage's tuned model, whose words and scales all are decoded with.
    """
    *earlier, last = models
    tuned = tested.model
    some, recognised = usable(data, held_out[:: max(1, len(held_out) // MOST_DECODED)][:MOST_DECODED]), {}
    for done, stage in enumerate(earlier):
        progress(done, len(models))
        model = models[stage].model
        model = replace(model, lexicon=tuned.lexicon, joiner=tuned.joiner, decoding=tuned.decoding)
        recognised[stage] = decode_all(with_graph(model, arpa_grammar(ngram, tuned.lexicon)), some).hypotheses
    progress(len(earlier), len(models))
    of_last, trained_on = models[last], usable(data, ids)
    if not of_last.model.units.aligns_frames:
        fit = ctc_fit(of_last.model, trained_on)
    else:
        fit = transcript_fit(next(iter(models.values())), of_last, trained_on)
    progress(len(models), len(models))
    return Evidence(recognised, fit, of_last.failures)


def earlier_in_words(references: Mapping[str, str], of_stage: Mapping[str, Mapping[str, str]]) -> str:
    """A sentence where an earlier stage makes fewer errors of characters than the last, a command between backticks.

    Args:
        of_stage: stage -> utterance id -> words, the stages in order; those that all have are counted.
    """
    same = {u: text for u, text in references.items() if all(u in found for found in of_stage.values())}
    if len(of_stage) < 2 or not same:
        return ""
    scores = {s: score(same, found, unit="char", unknown_ids="ignore") for s, found in of_stage.items()}
    stages, last = list(scores), scores[list(scores)[-1]]
    best = min(stages, key=lambda stage: scores[stage].errors)  # the first of equal ones
    if scores[best].errors >= last.errors:
        return ""
    found = compare(last, scores[best])
    sure = "which may be chance" if found.low <= 0 <= found.high else "more than chance makes"
    fewer = ",".join(stages[: stages.index(best) + 1])
    return (
        f"Fewer stages may be better here: after {best} {scores[best].rate:.1f} % of the held-out characters were "
        f"wrong, after {stages[-1]} {last.rate:.1f} %, {sure}: `--stages {fewer}` stops there."
    )


def transcript_fit(first: TrainedStage, last: TrainedStage, data: Data) -> dict[str, float]:
    """Utterance id -> how well its transcript fits: 0 where each sound is the best one for its frames, else less.

    The mean over the frames of speech of the log-likelihood of the sound that the transcript puts there, less that of
    the best sound, in nats. It is a measure of the transcript rather than of the recording: a poor microphone or an
    unusual voice makes all sounds less likely alike. Of 12 transcripts exchanged among 200 of Mboshi's recordings two
    could not be aligned, and the nine others that were trained on had the nine lowest values.
    After the goodness of pronunciation of Witt & Young, 2000.

    Args:
        first: the monophones, which compare all sounds cheaply.
        last: the stage whose alignment says where the sounds are.
    """
    known = {u: ids for u, ids in last.alignments.items() if u in data.raw}
    if not known:
        return {}
    table = data.select(known).normalised(first.model.features)
    phone, _, pdf, _ = first.transitions.tuples.T
    phone_of_pdf, sound_of_phone = (np.zeros(n + 1, np.int64) for n in (first.transitions.n_pdfs, phone.max()))
    phone_of_pdf[pdf] = phone
    sound_of_phone[phone] = phone_of_pdf[pdf]  # one for all positions of a phone in words, which share their pdfs
    order = np.argsort(phone_of_pdf[:-1], kind="stable")
    sounds, starts = np.unique(phone_of_pdf[order], return_index=True)
    silence, fit = first.model.lexicon.silence_id, {}
    for u, ids in known.items():
        aligned = last.transitions.phone_of_id[ids]
        spoken = aligned != silence
        if not spoken.any():
            continue
        scores = first.gmms.log_likelihoods(table[u][spoken])[:, order]
        best = np.maximum.reduceat(scores, starts, axis=1)  # of each phone, that of its best state
        said = best[np.arange(len(best)), np.searchsorted(sounds, sound_of_phone[aligned[spoken]])]
        fit[u] = round(float(np.mean(said - best.max(axis=1))), 4)
    return fit


def ctc_fit(model: Model, data: Data) -> dict[str, float]:
    """The same of a network without HMMs: the mean log probability of the transcript's units where they are found."""
    transcripts = model.lexicon.encode_all(data.references)
    table, fit = data.select(transcripts).normalised(model.features), {}
    for u, words in transcripts.items():
        units = [phone for word in words for phone in model.lexicon.pronunciations(word)[0]]
        try:
            found = ctc_align(log_posteriors(model.acoustic, table[u]), units)
        except ModelError:
            continue  # training has left it out, too, and said so
        if len(found.scores):
            fit[u] = round(float(np.mean(found.scores)), 4)
    return fit
