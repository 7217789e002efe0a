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
from ..files.json_files import read_json
from ..lang.entries import nfc
from ..lang.lexicon import Lexicon
from ..lang.subwords import JOIN, open_model, rewritten
from ..lm import NgramModel
from ..model.model import Model
from ..nn.options import SpecAugmentOptions, TrainingOptions
from ..scoring import score
from ..train.data import Data
from ..train.options import CtcOptions
from ..train.stage import Sizes, TrainedStage, hours_of, too_short, without_pronunciation
from .grammars import ngram_graph
from .networks import CtcTable, present_gpus, train_network
from .own_data import CTC, FILTERS, Plan
from .own_evidence import HeldOut, earlier_in_words, gather_evidence, recognise_held_out
from .own_outcome import LADDER_HOURS, Outcome
from .run import Kept, Run
from .systems import Part, train_stage, usable

logger = logging.getLogger("asr.recipe")  # what is shown while steps are made

TWO_CORES_TIMES, GPU_TIMES = 45.0, 530.0  # real time, that CTC's network is trained at: Mboshi in 82 and 7 minutes
SHORT = 300.0  # seconds of speech below which a warning says that little can be expected


def train_recogniser(plan: Plan, out: Path, *, seed: int = 0, n_jobs: int = 1, device: str = "cpu") -> Outcome:
    """Train what is planned, tune it on the utterances held out, and leave it in OUT/model, with OUT/report.html.

    Steps are kept in OUT/work (asr.recipe.run).

    Args:
        device: where networks are trained: "cpu", "cuda", or "auto", which is a GPU where there is one.

    Raises:
        AsrError: where something cannot be trained.
    """
    gpus = gpus_of(device, plan.stages)
    run = Run(out / "work", n_steps=len(plan.stages) + 6)
    data = run.step("features", Data.of, Corpus([*plan.train, *plan.held_out]), plan.pipeline, n_jobs=n_jobs)
    train, held_out = (tuple(u for u in part.ids if u in data.raw) for part in (plan.train, plan.held_out))
    if not train or not held_out:
        raise CorpusError("no recording of one of the two parts gave features; the warnings say why")
    known, apart, trained = _trained_on(plan, usable(data, train))
    hours, part = hours_of(known, plan.pipeline), Part("train", train, apart)

    models = _models(run, plan, data, part, hours, {"seed": seed, "n_jobs": n_jobs}, gpus)
    last = models[plan.stages[-1]]
    last.key  # noqa: B018 - the stages are made before all else
    words: dict[str, Any] = {"lexicon": plan.vocabulary, "letters": plan.letters, "joiner": JOIN if plan.parts else ""}
    said, kept = (list(part.transcripts().values()) for part in (plan.train, plan.held_out))
    parts = plan.parts.words if plan.parts else {}
    outcome = Outcome(out / "model", hours=hours, trained=trained)
    ngram = run.kept("language-model", train_lm, plan.vocabulary, said, plan.text, kept, plan.order, parts)
    graph = run.kept("graph", ngram_graph, last, ngram, **words)
    tested = run.step("held-out", recognise_held_out, graph, data, held_out)
    evidence = run.step("evidence", gather_evidence, models, data, train, held_out, tested, ngram)

    logger.info("%s ...", run.place("report"))
    stages = {**evidence.recognised, plan.stages[-1]: tested.together}
    outcome = _saved(plan, tested.model, _with_errors(plan, outcome, tested, stages))
    from .own_report import Left, write_own_report

    curves = read_json(last.folder / "curves.json") if CTC in models else {}
    logs = {stage: kept.value.log for stage, kept in models.items()}
    left = Left(tested.references, tested.together, tested.points, evidence, stages, logs, curves, tested.sure)
    return replace(outcome, report=write_own_report(plan, out, outcome, left, seed))


def _trained_on(plan: Plan, whole: Data) -> tuple[Data, tuple[str, ...], str]:
    """What of the training part a model can be trained on, what of that tells CTC's best epoch, and how many of how
    many these are, in a sentence. Raises CorpusError where not one is long enough for its words."""
    unknown = without_pronunciation(whole, plan.lexicon.encode_all(whole.references))
    if plan.stages == (CTC,):
        from ..train.ctc import too_few_rows, units_of

        units, rate = units_of(whole.references, plan.lexicon), ctc_table(1.0).config.subsampling
        short = too_few_rows(whole, units, rate, plan.pipeline.frame_shift)
    else:
        short = too_short(whole, plan.lexicon, plan.pipeline.frame_shift)
    left, n_given = [u for u in whole.raw if u not in unknown and u not in short], len(plan.train)
    if not left:
        first, why = next(iter({**short, **unknown}.items()))
        raise CorpusError(
            f"not one of {n_given} recordings can be trained on: {len(short)} are too short for what is said in them, "
            f"such as {first} ({plan.train[first].text!r}): {why}. Are they cut off, or the transcripts of others?"
        )
    apart = _apart(left) if plan.stages == (CTC,) else ()
    trained = f"{len(left) - len(apart)} of {n_given} utterances of the training part are trained on"
    trained += f", {len(apart)} tell the best epoch" if apart else ""
    known = whole.select(left)
    seconds = 3600 * hours_of(known, plan.pipeline)
    if seconds < SHORT:
        logger.warning("%s: only %.0f s of speech; 20 minutes is where recognition begins", trained, seconds)
    else:
        logger.info("%s: %.1f minutes of speech", trained, seconds / 60)
    return known, apart, trained


def _apart(known: Sequence[str]) -> tuple[str, ...]:
    """A twentieth of the utterances that CTC can be trained on, by their ids: they tell the best epoch. Those that are
    held out from training stay new to it."""
    order = sorted(known, key=lambda u: hashlib.sha256(f"early stopping {u}".encode()).digest())
    apart = set(order[: max(2, len(order) // 20)])
    return tuple(u for u in known if u in apart)


def _models(
    run: Run, plan: Plan, data: Data, part: Part, hours: float, how: dict[str, Any], gpus: str | None
) -> dict[str, Kept[TrainedStage]]:
    """The models of the plan's stages, by name."""
    how, found = {"pipeline": plan.pipeline, "lexicon": plan.lexicon, **how}, dict[str, Kept[TrainedStage]]()
    if plan.stages == (CTC,):
        table, how["n_jobs"] = ctc_table(hours), how["n_jobs"] if how["n_jobs"] > 0 else os.cpu_count() or 1
        _say_epochs(hours, table.options.training.max_epochs, gpus)
        return {CTC: run.kept(CTC, train_network, data, part, table=table, gpus=gpus, **how)}
    below, how["sizes"] = None, Sizes.of_hours(hours)
    for stage in plan.stages:
        below = found[stage] = run.kept(stage, train_stage, data, part, below, stage=stage, **how)
    return found


def gpus_of(device: str, stages: Sequence[str]) -> str | None:
    """The GPU to train on, as steps take it; None for the CPU.

    Args:
        device: "cpu", "cuda", or "auto": a GPU where there is one, and a network to train.
    """
    if device not in ("cpu", "cuda", "auto"):
        raise ConfigError(f"device {device!r}; need cpu, cuda or auto")
    if device == "cuda" and CTC not in stages:
        raise ConfigError(f"device cuda: only networks use a GPU (--stages {CTC}); the ladder is trained on the CPU")
    if device == "cpu" or CTC not in stages:
        return None
    import torch

    return None if device == "auto" and not torch.cuda.is_available() else present_gpus("0")


def ctc_table(hours: float) -> CtcTable:
    """The network that suits so many hours of speech, as of the recipe mboshi, trained the longer the less there is."""
    epochs = round(min(60, max(10, 30 / max(hours, 0.01) ** 0.5)))  # of an hour 30, of 4.5 hours 14
    masks = SpecAugmentOptions(time_masks=2, max_time_frames=15, max_time_part=0.1)
    training = TrainingOptions(
        max_epochs=epochs, patience=0, schedule="cosine", batch_frames=4096, mixed_precision=True, spec_augment=masks
    )
    network = {"kind": "cnn_recurrent", "layers": 3, "width": 192, "context": 1, "subsampling": 3, "dropout": 0.3}
    network |= {"channels": [16, 32], "pool": [2, 2]}
    return CtcTable(network=network, front_end=FILTERS, options=CtcOptions(training, prior_scale=0.3))


def _say_epochs(hours: float, epochs: int, gpus: str | None) -> None:
    """How long the network will take, and, where there is little speech, that the ladder does better.

    Of 18 minutes of Mboshi's recordings it made 59.6 % errors of characters in 23 minutes of two cores, the ladder
    43.6 % in 2.3 minutes; with 4.5 hours it made fewer errors than the ladder.
    """
    times, where = (GPU_TIMES, "on a GPU") if gpus else (TWO_CORES_TIMES, "on two cores")
    minutes = many(max(1, round(60 * hours * epochs / times)), "minute")
    told = f"{CTC}: {many(epochs, 'epoch')} will take about {minutes} {where}"
    if hours < LADDER_HOURS:
        ladder = "hours of speech the ladder (the default stages) usually makes fewer errors, much sooner"
        logger.warning("%s; with less than %g %s", told, LADDER_HOURS, ladder)
    else:
        logger.info("%s", told)


def train_lm(
    vocabulary: Lexicon, said: Sequence[str], text: Sequence[Sequence[str]], held_out: Sequence[str], order: int,
    parts: Mapping[str, str],
) -> NgramModel:  # fmt: skip
    """A step: the language model of the training transcripts, mixed with that of more text if there is any.

    The weight of the two is the one that suits the held-out transcripts; it is one number, so they still say what new
    speech will be like. The vocabulary is open where there are words in parts (see `Parts.words`).
    """
    words = [*(e.word for e in vocabulary.entries), "<unk>"]

    def of(sentences: Sequence[Sequence[str]]) -> NgramModel:
        if not parts:
            return lm.train(sentences, order, words=words)
        return open_model(sentences, [rewritten(line, parts) for line in sentences], order, words=words)

    own = of([nfc(line).split() for line in said])
    if not text:
        return own
    other, suiting = of(text), [rewritten(nfc(line).split(), parts) for line in held_out]
    return lm.interpolate(own, other, lm.tuned_weight(own, other, suiting))


def _with_errors(plan: Plan, outcome: Outcome, tested: HeldOut, stages: Mapping[str, Mapping[str, str]]) -> Outcome:
    """The outcome with the errors on the held-out utterances; `stages` is as of `earlier_in_words`."""
    found = {"speaker's recordings together": tested.together, "each recording alone": tested.alone}
    adapted = dict(zip(found, tested.adapted, strict=True))
    if len(set(plan.held_out.speaker_of.values())) == len(plan.held_out):
        del found["speaker's recordings together"]
    words = {name: score(tested.references, texts) for name, texts in found.items()}
    characters = {name: score(tested.references, texts, unit="char") for name, texts in found.items()}
    n_words, n_characters = (next(iter(scores.values())).total for scores in (words, characters))
    return replace(
        outcome, rows={name: (words[name].rate, characters[name].rate) for name in found},
        words=n_words, characters=n_characters, earlier=earlier_in_words(tested.references, stages),
        adapted=tuple(f"{name}: {adapted[name]}" for name in found if adapted[name]),
    )  # fmt: skip


def _saved(plan: Plan, model: Model, outcome: Outcome) -> Outcome:
    """The outcome, with the model and its card, README.md, in its place."""
    notes = "\n".join(f"- {note}" for note in [*plan.notes, outcome.trained])
    n_outputs, n_gauss = model.units.n_pdfs, model.acoustic.n_gauss
    size = f"{n_outputs} pdfs, {n_gauss} Gaussians" if n_gauss else f"a network of {n_outputs} outputs"
    card = (
        f"# A recogniser of {plan.lexicon.n_words} words{' and new ones' if plan.parts else ''}\n\n"
        f"Trained by `asr train` ({', '.join(plan.stages)}) on {60 * outcome.hours:.1f} minutes of speech; "
        f"{size}.\n\n{notes}\n\n"
        f"Errors on the utterances held out:\n\n```\n{outcome.table()}\n```\n"
    )
    replace(model, card=card).save(outcome.model)
    return outcome
