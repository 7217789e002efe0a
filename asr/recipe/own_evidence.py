"""What the report of `asr train` shows besides the results: the errors after each stage, and which transcripts of the
training part may not be what was said."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from .. import lm
from ..ctc.align import ctc_align
from ..errors import ModelError
from ..graph.grammar import arpa_grammar
from ..model.acoustic import log_posteriors
from ..model.graphs import with_graph
from ..model.model import Model, load
from ..scoring import compare, score
from ..scoring.reading import read_transcripts
from ..train.data import Data
from ..train.decoding import decode_all
from ..train.ladder import Rung
from .tasks import usable, write_json, write_pairs

MOST_DECODED = 100  # held-out utterances: enough to see the stages apart, few enough to cost little

NO_ALIGNMENT = "no alignment"
"""The key of evidence.json under which utterances stand that were of no use in training, with the reasons."""


def gather_evidence(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    held_out: Sequence[str],
    rungs: Mapping[str, Path],
    tuned: Path,
    grammar: Path,
    progress: Callable[[int, int], None],
) -> None:
    """heard-STAGE.tsv of each stage but the last, on some of the held-out utterances, and evidence.json.

    ids: utterances that were trained on. rungs: stage -> its folder, in order. tuned: the folder with the last stage's
    tuned model, whose words and scales all are decoded with. grammar: the folder of the language model.
    """
    *earlier, last = rungs
    whole, spoken = load(tuned / "model"), lm.read_arpa(grammar / "lm.arpa.gz")
    some = usable(data, held_out[:: max(1, len(held_out) // MOST_DECODED)][:MOST_DECODED])
    for done, stage in enumerate(earlier):
        progress(done, len(rungs))
        rung = load(rungs[stage] / "model")
        model = replace(rung, lexicon=whole.lexicon, joiner=whole.joiner, decoding=whole.decoding)
        model = with_graph(model, arpa_grammar(spoken, whole.lexicon))
        write_pairs(folder / f"heard-{stage}.tsv", decode_all(model, some).hypotheses)
    progress(len(earlier), len(rungs))
    of_last, trained_on = Rung.load(rungs[last]), usable(data, ids)
    if of_last.model.units.aligns_frames:
        fit = transcript_fit(Rung.load(next(iter(rungs.values()))), of_last, trained_on)
    else:
        fit = ctc_fit(of_last.model, trained_on)
    write_json(folder / "evidence.json", {"fit": fit, NO_ALIGNMENT: of_last.failures})
    progress(len(rungs), len(rungs))


def heard_after(evidence: Path, stages: Sequence[str], last: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Stage -> utterance id -> the words that were recognised after it. last: those of the last one."""
    heard = {stage: read_transcripts(evidence / f"heard-{stage}.tsv") for stage in stages[:-1]}
    return {**heard, stages[-1]: dict(last)}


def earlier_told(references: Mapping[str, str], heard: Mapping[str, Mapping[str, str]]) -> str:
    """A sentence where an earlier stage makes fewer errors of characters than the last, a command between backticks.

    heard: stage -> utterance id -> words, the stages in order; those that all have are counted.
    """
    same = {u: text for u, text in references.items() if all(u in found for found in heard.values())}
    if len(heard) < 2 or not same:
        return ""
    scores = {s: score(same, found, unit="char", unknown_ids="ignore") for s, found in heard.items()}
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


def transcript_fit(first: Rung, last: Rung, data: Data) -> dict[str, float]:
    """Utterance id -> how well its transcript fits: 0 where each sound is the best one for its frames, else less.

    first: the monophones, which compare all sounds cheaply. last: the stage whose alignment says where the sounds are.
    The mean over the frames of speech of the log-likelihood of the sound that the transcript puts there, less that of
    the best sound, in nats. It is a measure of the transcript rather than of the recording: a poor microphone or an
    unusual voice makes all sounds less likely alike. Of 12 transcripts exchanged among 200 of Mboshi's recordings two
    could not be aligned, and the nine others that were trained on had the nine lowest values.
    After the goodness of pronunciation of Witt & Young, 2000.
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
