"""The work behind `asr train`: the steps of a plan (asr.recipe.own_data), the recogniser at their end, its card."""

import hashlib
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import lm
from ..corpus import Corpus
from ..display.brief import many
from ..errors import ConfigError, CorpusError
from ..graph.grammar import arpa_grammar
from ..lang.entries import nfc
from ..lang.letters import LetterTable
from ..lang.lexicon import Lexicon
from ..lang.subwords import JOIN, open_model, rewritten
from ..lm import NgramModel
from ..model.graphs import has_pynini, with_graph
from ..model.model import Model
from ..nn.options import SpecAugmentOptions, TrainingOptions
from ..scoring import score
from ..train.data import Data
from ..train.options import CtcOptions
from ..train.stage import Sizes, hours_of, too_short, without_pronunciation
from .networks import CtcTable, present_gpus, train_without_hmms
from .own_data import CTC, FILTERS, Plan
from .own_evidence import Evidence, HeldOut, earlier_told, gather_evidence, recognise_held_out
from .own_outcome import LADDER_HOURS, Outcome
from .run import Kept, Run
from .systems import Part, Trained, extract_data, train_stage, usable

logger = logging.getLogger("asr.recipe")  # what is shown while steps are made

TWO_CORES_TIMES, GPU_TIMES = 45.0, 530.0  # real time, that CTC's network is trained at: Mboshi in 82 and 7 minutes
SHORT = 300.0  # seconds of speech below which a warning says that little can be expected


def train_recogniser(plan: Plan, out: Path, *, seed: int = 0, n_jobs: int = 1, device: str = "cpu") -> Outcome:
    """Train what is planned, tune it on the utterances held out, and leave it in OUT/model, with OUT/report.html.

    Steps have folders in OUT's folder `work`, whole or not there; finished ones are kept, and made anew only if what
    they are made from has changed. Details are logged to run.log in there. Without pynini the model has no decoding
    graph, and nothing is tuned or tested.

    Args:
        device: where networks are trained: "cpu", "cuda", or "auto", which is a GPU where there is one.

    Raises:
        AsrError: where something cannot be trained.
    """
    gpus = gpus_of(device, plan.stages)
    run = Run(out / "work", n_steps=len(plan.stages) + (6 if has_pynini() else 2))
    data = run.step("features", extract_data, Corpus([*plan.train, *plan.held_out]), plan.pipeline, n_jobs)
    train, held_out = _with_features(plan, data)
    known, trained = _trained_on(plan, usable(data, train))
    hours = hours_of(known, plan.pipeline)
    _say_hours(trained, hours)

    models: dict[str, Kept[Trained]] = {}
    common: dict[str, Any] = {"pipeline": plan.pipeline, "lexicon": plan.lexicon, "seed": seed, "n_jobs": n_jobs}
    if plan.stages == (CTC,):
        table, common["n_jobs"] = ctc_table(hours), n_jobs if n_jobs > 0 else os.cpu_count() or 1
        _say_ctc(hours, table.options.training.max_epochs, gpus)
        part = Part("ctc", tuple(train), tuple(_apart(list(known.raw))))
        models[CTC] = run.kept(CTC, train_without_hmms, data, part, table=table, gpus=gpus, **common)
    else:
        below, sizes = None, Sizes.of_hours(hours)
        for stage in plan.stages:
            part = Part("train", tuple(train))
            below = run.kept(stage, train_stage, data, part, below, stage=stage, sizes=sizes, **common)
            models[stage] = below
    last = models[plan.stages[-1]]

    parts, kept = plan.parts.words if plan.parts else {}, list(plan.held_out.transcripts().values())
    said, text = list(plan.train.transcripts().values()), [list(words) for words in plan.text]
    ngram = run.kept("language-model", train_lm, plan.vocabulary, said, text, kept, plan.order, parts)
    if not has_pynini():
        return _without_graph(plan, out, last.value, ngram, hours, trained)
    graph = run.kept("graph", build_graph, last, ngram, plan.vocabulary, JOIN if plan.parts else "", plan.letters)
    tested = run.step("held-out", recognise_held_out, graph, data, held_out)
    evidence = run.step("evidence", gather_evidence, models, data, train, held_out, tested, ngram)
    with run.last("report"):
        return _finished(plan, out, tested, evidence, models, hours, trained, seed)


def _with_features(plan: Plan, data: Data) -> tuple[list[str], list[str]]:
    """The utterances of both parts whose recordings gave features. Raises CorpusError where a part has none."""
    train, held_out = ([u for u in part.ids if u in data.raw] for part in (plan.train, plan.held_out))
    if not train or not held_out:
        raise CorpusError("no recording of one of the two parts gave features; the warnings say why")
    return train, held_out


def _trained_on(plan: Plan, heard: Data) -> tuple[Data, str]:
    """The utterances that a model can be trained on, and how many these are of how many, in a sentence.

    Args:
        heard: the training part, as far as it gave features.

    Raises:
        CorpusError: where not one is long enough for its words.
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

    subsampling = ctc_table(1.0).config.subsampling
    return too_few_rows(heard, units_of(heard.references, lexicon), subsampling, frame_shift)


def gpus_of(device: str, stages: Sequence[str]) -> str | None:
    """The GPU to train on, as steps take it; None for the CPU.

    Args:
        device: "cpu", "cuda", or "auto": a GPU where there is one, and a network to train.

    Raises:
        ConfigError: for another name, where no network is trained, and where torch finds no GPU.
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


def ctc_table(hours: float) -> CtcTable:
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
    return CtcTable(network=network, front_end=FILTERS, options=CtcOptions(training, prior_scale=0.3))


def _apart(known: Sequence[str]) -> list[str]:
    """A twentieth of the utterances that CTC can be trained on, by their ids: they tell the best epoch. Those that are
    held out from training stay new to it."""
    order = sorted(known, key=lambda u: hashlib.sha256(f"early stopping {u}".encode()).digest())
    apart = set(order[: _n_apart(len(order))])
    return [u for u in known if u in apart]


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


def train_lm(
    vocabulary: Lexicon,
    said: Sequence[str],
    text: Sequence[Sequence[str]],
    held_out: Sequence[str],
    order: int,
    parts: Mapping[str, str],
) -> NgramModel:
    """A step: the language model of the training transcripts, mixed with that of more text if there is any.

    Args:
        parts: the words that are in parts, see `Parts.words`. The weight of the two models is the one that suits the
            held-out transcripts; it is one number, so they still say what new speech will be like.
    """
    words = [*(e.word for e in vocabulary.entries), "<unk>"]
    own = _language_model([nfc(line).split() for line in said], order, words, parts)
    if not text:
        return own
    other = _language_model(text, order, words, parts)
    suiting = [rewritten(nfc(line).split(), parts) for line in held_out]
    return lm.interpolate(own, other, lm.tuned_weight(own, other, suiting))


def _language_model(
    sentences: Sequence[Sequence[str]], order: int, words: Sequence[str], parts: Mapping[str, str]
) -> lm.NgramModel:
    """The n-gram of some sentences; that of an open vocabulary where there are words in parts."""
    if not parts:
        return lm.train(sentences, order, words=words)
    return open_model(sentences, [rewritten(line, parts) for line in sentences], order, words=words)


def build_graph(
    trained: Trained, ngram: NgramModel, vocabulary: Lexicon, joiner: str, letters: LetterTable | None
) -> Model:
    """A step: the model with its decoding graph.

    Args:
        vocabulary: the model's own words, and parts of words after them.
        letters: how new words are spelled.
    """
    model = replace(trained.rung.model, lexicon=vocabulary, joiner=joiner, letters=letters)
    return with_graph(model, arpa_grammar(ngram, vocabulary))


def _say_hours(trained: str, hours: float) -> None:
    if hours * 3600 < SHORT:
        logger.warning("%s: only %.0f s of speech; 20 minutes is where recognition begins", trained, hours * 3600)
    else:
        logger.info("%s: %.1f minutes of speech", trained, hours * 60)


def _finished(
    plan: Plan,
    out: Path,
    tested: HeldOut,
    evidence: Evidence,
    models: Mapping[str, Kept[Trained]],
    hours: float,
    trained: str,
    seed: int,
) -> Outcome:
    """The model with its card, the report, and what is to be reported."""
    found = {"speaker's recordings together": tested.together, "each recording alone": tested.alone}
    adapted = dict(zip(found, tested.adapted, strict=True))
    if len(set(plan.held_out.speaker_of.values())) == len(plan.held_out):
        del found["speaker's recordings together"]
    references, recognised = tested.references, next(iter(found.values()))
    rates = {
        name: (score(references, words).rate, score(references, words, unit="char").rate)
        for name, words in found.items()
    }
    n_words, n_characters = (score(references, references, unit=unit).total for unit in ("word", "char"))
    told = tuple(f"{name}: {adapted[name]}" for name in found if adapted[name])
    stages = {**evidence.recognised, plan.stages[-1]: recognised}
    outcome = Outcome(
        out / "model", None, rates, n_words, n_characters, hours, _sizes(tested.model), told,
        trained=trained, earlier=earlier_told(references, stages),
    )  # fmt: skip
    replace(tested.model, card=_card(plan, outcome)).save(outcome.model)
    from .own_report import Left, write_own_report

    left = Left(references, recognised, tested.points, evidence, stages, {s: m.value for s, m in models.items()})
    return replace(outcome, report=write_own_report(plan, out, outcome, left, seed))


def _sizes(model: Model) -> tuple[int, int]:
    return model.units.n_pdfs, model.acoustic.n_gauss


def _without_graph(plan: Plan, out: Path, last: Trained, ngram: Kept, hours: float, trained: str) -> Outcome:
    """The model as it is where no decoding graph can be built: it aligns."""
    model = replace(last.rung.model, lexicon=plan.vocabulary, joiner=JOIN if plan.parts else "", letters=plan.letters)
    to_do = (
        "where pynini is (Linux x86-64), the same command goes on in a copy of OUT, tunes and tests; or the graph "
        f"alone: asr graph {out / 'model'} --lm {ngram.folder / 'lm.arpa.gz'} --out NEW"
    )
    outcome = Outcome(out / "model", None, {}, 0, 0, hours, _sizes(model), to_do=to_do, trained=trained)
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
