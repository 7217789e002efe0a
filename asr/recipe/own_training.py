"""The work behind `asr train`: the stages of a plan (asr.recipe.own_data), the recogniser at their end, its card."""

import hashlib
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from .. import lm
from ..display.brief import many
from ..errors import ConfigError, CorpusError
from ..graph.grammar import arpa_grammar
from ..lang.entries import nfc
from ..lang.letters import LetterTable
from ..lang.lexicon import Lexicon
from ..lang.subwords import JOIN, open_model, rewritten
from ..model.fit import Reference
from ..model.graphs import has_pynini, with_graph
from ..model.model import Model, load
from ..model.transcript import Transcript
from ..model.transcription import told_transforms
from ..nn.options import SpecAugmentOptions, TrainingOptions
from ..scoring import score
from ..scoring.reading import read_transcripts
from ..train.data import Data
from ..train.decoding import decode_all
from ..train.ladder import Sizes, hours_of, too_short, without_pronunciation
from ..train.tuning import TuningPoint, add_tuning, at_edge, best_point, beyond, tune_decoding
from . import Run
from .networks import CtcPlan, make_network, present_gpus
from .own_data import CTC, FILTERS, Plan
from .own_evidence import earlier_told, gather_evidence, heard_after
from .own_outcome import LADDER_HOURS, Outcome
from .rungs import make_rung
from .tasks import extract_features, read_json, usable, write_json, write_pairs

logger = logging.getLogger("asr.recipe")  # what is shown while stages are made

WIDENINGS = 3  # times that the grid grows by a line where the best of it is at its edge
TWO_CORES_TIMES, GPU_TIMES = 45.0, 530.0  # real time, that CTC's network is trained at: Mboshi in 82 and 7 minutes
SHORT = 300.0  # seconds of speech below which a warning says that little can be expected


def train_recogniser(plan: Plan, out: Path, *, seed: int = 0, n_jobs: int = 1, device: str = "cpu") -> Outcome:
    """Train what is planned, tune it on the utterances held out, and leave it in OUT/model, with OUT/report.html.

    Stages are folders in OUT's folder `work`, whole or not there; finished ones are kept, and made anew only if what
    they are made from has changed. What the log of a stage says goes to run.log in there. Without pynini the model has
    no decoding graph, and nothing is tuned or tested.
    device: where networks are trained: "cpu", "cuda", or "auto", which is a GPU where there is one.
    Raises AsrError where something cannot be trained.
    """
    gpus = gpus_of(device, plan.stages)
    run = Run(out / "work", n_stages=len(plan.stages) + (6 if has_pynini() else 2))
    inputs = {"utterances": [*plan.train, *plan.held_out], "pipeline": plan.pipeline, "n_jobs": n_jobs}
    data = run.stage("features", extract_features, inputs)
    ids = _with_features(plan, data)
    known, trained = _trained_on(plan, usable(data, ids["train"]))
    hours = hours_of(known, plan.pipeline)
    _say_hours(trained, hours)
    lexicon, vocabulary = out / "work" / "lexicon.tsv", out / "work" / "vocabulary.tsv"
    plan.lexicon.save(lexicon)
    plan.vocabulary.save(vocabulary)
    common = {"data": data, "ids": ids["train"], "lexicon": lexicon, "pipeline": plan.pipeline, "seed": seed}
    common |= {"n_jobs": n_jobs}
    if plan.stages == (CTC,):
        last = _ctc_stage(run, common, list(known.raw), hours, gpus)
    else:
        last = _ladder_stages(run, common | {"sizes": Sizes.of_hours(hours)}, plan.stages)
    spoken = {"lexicon": vocabulary, "said": list(plan.train.transcripts().values()), "order": plan.order}
    spoken |= {"parts": plan.parts.words if plan.parts else {}}
    spoken |= {"text": [list(words) for words in plan.text], "held_out": list(plan.held_out.transcripts().values())}
    grammar = run.stage("language-model", make_lm, spoken)
    if not has_pynini():
        return _without_graph(plan, out, last, grammar, hours, trained)
    compiled = {"rung": last, "grammar": grammar, "lexicon": vocabulary, "letters": plan.letters}
    graph = run.stage("graph", make_graph, compiled | {"joiner": JOIN if plan.parts else ""})
    held_out = run.stage("held-out", score_held_out, {"data": data, "ids": ids["held"], "graph": graph})
    rungs = {stage: run.folders[stage] for stage in plan.stages}
    seen = {"data": data, "ids": ids["train"], "held_out": ids["held"], "rungs": rungs, "tuned": held_out}
    evidence = run.stage("evidence", gather_evidence, {**seen, "grammar": grammar})
    with run.last("report"):
        return _finished(plan, out, held_out, evidence, rungs, hours, trained, seed)


def _with_features(plan: Plan, data: Path) -> dict[str, list[str]]:
    """The utterances of each part whose recordings gave features. Raises CorpusError where a part has none."""
    heard = Data.load(data).raw
    ids = {"train": plan.train.ids, "held": plan.held_out.ids}
    found = {part: [u for u in names if u in heard] for part, names in ids.items()}
    if not found["train"] or not found["held"]:
        raise CorpusError("no recording of one of the two parts gave features; the warnings say why")
    return found


def _trained_on(plan: Plan, heard: Data) -> tuple[Data, str]:
    """The utterances that a model can be trained on, and how many these are of how many, in a sentence.

    heard: the training part, as far as it gave features. Raises CorpusError where not one is long enough for its words.
    """
    shift, n_given = plan.pipeline.frame_shift, len(plan.train)
    if plan.stages == (CTC,):
        short = _too_short_for_ctc(heard, plan.lexicon, shift)
    else:
        short = too_short(heard, plan.lexicon, shift)
    whole = plan.lexicon.encode_all(heard.references)
    reasons = {**short, **without_pronunciation(heard, whole)}
    left = [u for u in heard.raw if u not in reasons]
    if not left:
        first, why = next(iter(reasons.items()))
        raise CorpusError(
            f"not one of {n_given} recordings can be trained on: {len(short)} are too short for what is said in them, "
            f"such as {first} ({plan.train[first].text!r}): {why}. Are they cut off, or the transcripts of others?"
        )
    told = f"{len(left)} of {n_given} utterances of the training part are trained on"
    if plan.stages == (CTC,):
        told = f"{len(left) - _n_apart(len(left))} {told.partition(' ')[2]}, {_n_apart(len(left))} tell the best epoch"
    counts = {
        "without features": n_given - len(heard.raw),
        "with words without pronunciation": len(reasons.keys() - short.keys()),
        "too short for what is said in them": len(short),
    }
    parts = [f"{n} {what}" for what, n in counts.items() if n]
    if short:
        parts[-1] += f" (such as {next(iter(short))}: {next(iter(short.values()))})"
    return heard.select(left), ", ".join([told, *parts])


def _too_short_for_ctc(heard: Data, lexicon: Lexicon, frame_shift: float) -> dict[str, str]:
    """Why utterances cannot be trained on with CTC that have too few frames for their letters or phones."""
    from ..train.ctc import too_few_rows, units_of

    subsampling = ctc_plan(1.0).config.subsampling
    return too_few_rows(heard, units_of(heard.references, lexicon), subsampling, frame_shift)


def _ladder_stages(run: Run, common: Mapping[str, Any], stages: Sequence[str]) -> Path:
    """The models of the ladder, each from the one before."""
    last = None
    for stage in stages:
        last = run.stage(stage, make_rung, {**common, "stage": stage, "previous": last})
    assert last is not None  # a plan has stages
    return last


def gpus_of(device: str, stages: Sequence[str]) -> str | None:
    """The GPU to train on, as `make_network` takes it; None for the CPU.

    device: "cpu", "cuda", or "auto": a GPU where there is one, and a network to train.
    Raises ConfigError for another name, where no network is trained, and where torch finds no GPU.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise ConfigError(f"device {device!r}; need cpu, cuda or auto")
    if device == "cuda" and CTC not in stages:
        raise ConfigError(f"device cuda: only networks use a GPU (--stages {CTC}); the ladder is trained on the CPU")
    if device == "cpu" or CTC not in stages:
        return None
    import torch

    if device == "auto" and not torch.cuda.is_available():
        return None
    return present_gpus("0")


def ctc_plan(hours: float) -> CtcPlan:
    """The network that suits so many hours of speech: convolutions and an LSTM in both directions, as of the recipe
    mboshi, trained the longer the less there is.

    With an hour 30 epochs, with 4.5 hours 14, with 15 minutes 60.
    """
    epochs = round(min(60, max(10, 30 / max(hours, 0.01) ** 0.5)))
    masks = SpecAugmentOptions(time_masks=2, max_time_frames=15, max_time_part=0.1)
    training = TrainingOptions(
        max_epochs=epochs, patience=0, schedule="cosine", batch_frames=4096, mixed_precision=True, spec_augment=masks
    )
    network = {"kind": "cnn_recurrent", "layers": 3, "width": 192, "context": 1, "subsampling": 3, "dropout": 0.3}
    network |= {"channels": [16, 32], "pool": [2, 2]}
    return CtcPlan(network=network, training=training, front_end=FILTERS, prior_scale=0.3)


def _ctc_stage(run: Run, common: Mapping[str, Any], known: Sequence[str], hours: float, gpus: str | None) -> Path:
    """A network without HMMs. A twentieth of the training utterances, by their ids, tells the best epoch: those that
    are held out from training stay new to it.

    known: the utterances that can be trained on."""
    n_jobs, plan = common["n_jobs"], ctc_plan(hours)
    _say_ctc(hours, plan.training.max_epochs, gpus)
    order = sorted(known, key=lambda u: hashlib.sha256(f"early stopping {u}".encode()).digest())
    apart = set(order[: _n_apart(len(order))])
    inputs = {name: common[name] for name in ("data", "pipeline", "seed")}
    inputs |= {"ids": [u for u in common["ids"] if u not in apart], "held_out": [u for u in known if u in apart]}
    inputs |= {"below": common["lexicon"], "plan": plan, "gpus": gpus}
    inputs["n_jobs"] = n_jobs if n_jobs > 0 else os.cpu_count() or 1
    return run.stage(CTC, make_network, inputs)


def _n_apart(n_utterances: int) -> int:
    """How many of the utterances for CTC tell the best epoch."""
    return max(2, n_utterances // 20)


def _say_ctc(hours: float, epochs: int, gpus: str | None) -> None:
    """How long the network will take, and, where there is little speech, that the ladder does better.

    Of 18 minutes of Mboshi's recordings it made 59.6 % errors of characters in 23 minutes of two cores, the ladder
    43.6 % in 2.3 minutes; with 4.5 hours it made fewer errors than the ladder.
    """
    times, where = (GPU_TIMES, "on a GPU") if gpus else (TWO_CORES_TIMES, "on two cores")
    minutes = 60 * hours * epochs / times
    told = f"{CTC}: {many(epochs, 'epoch')} will take about {many(max(1, round(minutes)), 'minute')} {where}"
    if hours >= LADDER_HOURS:
        logger.info("%s", told)
        return
    logger.warning(
        "%s; with less than %g hours of speech the ladder (the default stages) usually makes fewer errors, much sooner",
        told, LADDER_HOURS,
    )  # fmt: skip


def make_lm(
    folder: Path,
    lexicon: Path,
    said: Sequence[str],
    text: Sequence[Sequence[str]],
    held_out: Sequence[str],
    order: int,
    parts: Mapping[str, str],
) -> None:
    """The language model of the training transcripts as lm.arpa.gz, mixed with that of more text if there is any.

    parts: the words that are in parts, see `Parts.words`. The weight of the two models is the one that suits the
    held-out transcripts; it is one number, so they still say what new speech will be like.
    """
    words = [*(e.word for e in Lexicon.load(lexicon).entries), "<unk>"]
    own = _language_model([nfc(line).split() for line in said], order, words, parts)
    if text:
        other = _language_model(text, order, words, parts)
        suiting = [rewritten(nfc(line).split(), parts) for line in held_out]
        own = lm.interpolate(own, other, lm.tuned_weight(own, other, suiting))
    lm.write_arpa(own, folder / "lm.arpa.gz")


def _language_model(
    sentences: Sequence[Sequence[str]], order: int, words: Sequence[str], parts: Mapping[str, str]
) -> lm.NgramModel:
    """The n-gram of some sentences; that of an open vocabulary where there are words in parts."""
    if not parts:
        return lm.train(sentences, order, words=words)
    return open_model(sentences, [rewritten(line, parts) for line in sentences], order, words=words)


def make_graph(
    folder: Path, rung: Path, grammar: Path, lexicon: Path, joiner: str, letters: LetterTable | None
) -> None:
    """The model with its decoding graph, in `folder`/model.

    lexicon: the model's own, and parts of words after it. letters: how new words are spelled.
    """
    words = Lexicon.load(lexicon)
    model = replace(load(rung / "model"), lexicon=words, joiner=joiner, letters=letters)
    with_graph(model, arpa_grammar(lm.read_arpa(grammar / "lm.arpa.gz"), words)).save(folder / "model")


def score_held_out(
    folder: Path,
    data: Path,
    ids: Sequence[str],
    graph: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """The tuned model, and what it recognises in each half of the held-out utterances when tuned on the other half.

    So each utterance is new to the options that it is decoded with; the model itself is tuned on all. What is made few
    are errors of characters: a small set has too few words, and words that nobody trained are wrong in any case.
    """
    model, whole = load(graph / "model"), usable(data, ids)
    halves = [whole.select(ids[k::2]) for k in range(2)] if len(ids) > 1 else [whole]
    scales, penalties = model.units.acoustic_scales, model.units.insertion_penalties
    grid = {"acoustic_scales": scales, "insertion_penalties": penalties}
    done = 0

    def tried() -> None:
        nonlocal done
        done += 1
        progress(min(done, n_settings), n_settings)

    def tuned_on(
        half: Data, acoustic_scales: Sequence[float], insertion_penalties: Sequence[float]
    ) -> list[TuningPoint]:
        return tune_decoding(
            model,
            half,
            acoustic_scales=acoustic_scales,
            insertion_penalties=insertion_penalties,
            unit="char",
            told=tried,
        )

    n_settings = len(halves) * len(scales) * len(penalties)  # and more where the grid grows
    tables = [tuned_on(half, **grid) for half in halves]
    for _ in range(WIDENINGS):
        wider = beyond(add_tuning(tables))
        if wider is None:
            break
        tables = [t + tuned_on(h, **wider) for t, h in zip(tables, halves, strict=True)]
    together: dict[str, Transcript] = {}
    alone: dict[str, Transcript] = {}
    for half, table in zip(halves, reversed(tables), strict=True):
        tuned = _with(model, best_point(table))
        together |= decode_all(tuned, half).transcripts
        alone |= decode_all(tuned, _strangers(half)).transcripts
    points = add_tuning(tables)
    best = best_point(points)
    if edge := at_edge(points, best):
        logger.warning("tuning: %s; beyond it may be better (Model.with_decoding)", edge)
    reference = Reference.of([t.evidence for t in alone.values() if t.evidence is not None])
    replace(_with(model, best), reference=reference).save(folder / "model")
    write_pairs(folder / "references.tsv", whole.references)
    write_pairs(folder / "together.tsv", {u: together[u].text for u in ids})
    write_pairs(folder / "alone.tsv", {u: alone[u].text for u in ids})
    adapted = [told_transforms({whole.speakers[u]: t.transform for u, t in together.items()})]
    adapted.append(told_transforms({u: t.transform for u, t in alone.items()}))
    write_json(folder / "adapted.json", adapted)
    write_json(folder / "tuning.json", [asdict(p) for p in points])


def _with(model: Model, best: TuningPoint) -> Model:
    return model.with_decoding(acoustic_scale=best.acoustic_scale, insertion_penalty=best.insertion_penalty)


def _strangers(data: Data) -> Data:
    """The utterances as if each were of a speaker of its own: what files given one by one are."""
    return replace(data, speakers={u: u for u in data.raw})


def _say_hours(trained: str, hours: float) -> None:
    if hours * 3600 < SHORT:
        logger.warning("%s: only %.0f s of speech; 20 minutes is where recognition begins", trained, hours * 3600)
    else:
        logger.info("%s: %.1f minutes of speech", trained, hours * 60)


def _finished(
    plan: Plan,
    out: Path,
    tested: Path,
    evidence: Path,
    rungs: Mapping[str, Path],
    hours: float,
    trained: str,
    seed: int,
) -> Outcome:
    """The model with its card, the report, and what is to be told."""
    references, together, alone = (read_transcripts(tested / f"{n}.tsv") for n in ("references", "together", "alone"))
    heard = {"speaker's recordings together": together, "each recording alone": alone}
    adapted = dict(zip(heard, read_json(tested / "adapted.json"), strict=True))
    if len(set(plan.held_out.speaker_of.values())) == len(plan.held_out):
        del heard["speaker's recordings together"]
    rates = {
        name: (score(references, words).rate, score(references, words, unit="char").rate)
        for name, words in heard.items()
    }
    n_words, n_characters = (score(references, references, unit=unit).total for unit in ("word", "char"))
    model = load(tested / "model")
    sizes = model.units.n_pdfs, model.acoustic.n_gauss
    told = tuple(f"{name}: {adapted[name]}" for name in heard if adapted[name])
    earlier = earlier_told(references, heard_after(evidence, plan.stages, next(iter(heard.values()))))
    outcome = Outcome(
        out / "model", None, rates, n_words, n_characters, hours, sizes, told, trained=trained, earlier=earlier
    )
    replace(model, card=_card(plan, outcome)).save(outcome.model)
    from .own_report import Left, write_own_report

    left = Left(references, next(iter(heard.values())), tested, evidence, rungs)
    return replace(outcome, report=write_own_report(plan, out, outcome, left, seed))


def _without_graph(plan: Plan, out: Path, rung: Path, grammar: Path, hours: float, trained: str) -> Outcome:
    """The model as it is where no decoding graph can be built: it aligns."""
    parts = JOIN if plan.parts else ""
    model = replace(load(rung / "model"), lexicon=plan.vocabulary, joiner=parts, letters=plan.letters)
    to_do = (
        "where pynini is (Linux x86-64), the same command goes on in a copy of OUT, tunes and tests; or the graph "
        f"alone: asr graph {out / 'model'} --lm {grammar / 'lm.arpa.gz'} --out NEW"
    )
    sizes = model.units.n_pdfs, model.acoustic.n_gauss
    outcome = Outcome(out / "model", None, {}, 0, 0, hours, sizes, to_do=to_do, trained=trained)
    replace(model, card=_card(plan, outcome)).save(outcome.model)
    return outcome


def _card(plan: Plan, outcome: Outcome) -> str:
    """README.md of the model."""
    notes = "\n".join(f"- {note}" for note in [*plan.notes, outcome.trained])
    n_outputs, n_gauss = outcome.sizes
    size = f"{n_outputs} pdfs, {n_gauss} Gaussians" if n_gauss else f"a network of {n_outputs} outputs"
    return (
        f"# A recogniser of {plan.lexicon.n_words} words{' and new ones' if plan.parts else ''}\n\n"
        f"Trained by `asr train` ({', '.join(plan.stages)}) on {60 * outcome.hours:.1f} minutes of speech; "
        f"{size}.\n\n{notes}\n\n"
        f"Errors on the utterances held out:\n\n```\n{outcome.table()}\n```\n"
    )
