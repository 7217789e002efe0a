"""The report of `asr train`."""

import html
import logging
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import AsrError
from ..own_data import CTC, Plan
from ..recipe.networks import read_training
from ..recipe.tasks import read_json
from ..scoring import score
from ..training import TuningPoint, best_point

if TYPE_CHECKING:
    from ..own_training import Outcome
    from . import Section

logger = logging.getLogger("asr.recipe")


def write_own_report(
    plan: Plan,
    out: Path,
    outcome: "Outcome",
    heard: tuple[dict[str, str], dict[str, str]],
    tested: Path,
    rung: Path,
    seed: int,
) -> Path | None:
    """OUT/report.html; None where matplotlib is missing. heard: references and hypotheses."""
    from . import (
        Section,
        check_plotting,
        confusion_section,
        network_section,
        run_facts,
        speaker_section,
        utterance_section,
        write_report,
    )

    try:
        check_plotting()
    except AsrError as error:
        logger.warning("no report.html: %s", error)
        return None
    counted = score(*heard)
    by_speaker = {s: (x.errors, x.total) for s, x in counted.by_speaker(plan.held_out.speaker_of).items()}
    sections = [
        Section("Results", f'<div class="scroll"><pre>{html.escape(outcome.table())}</pre></div>'),
        Section("The data", "<ul>" + "".join(f"<li>{html.escape(note)}</li>" for note in plan.notes) + "</ul>"),
        _passes(plan, rung) if plan.stages != (CTC,) else network_section(read_training(rung)),
        _tuning(tested),
        *([speaker_section(by_speaker)] if len(by_speaker) < len(plan.held_out) else []),
        confusion_section(counted.confusions),
        utterance_section(*heard),
    ]
    facts = run_facts(seed=seed, hours_of_speech=f"{outcome.hours:.2f}", folder=str(out))
    name, (wer, cer) = next(iter(outcome.rows.items()))
    lead = f"WER {wer:.2f} %, CER {cer:.2f} % on {len(heard[0])} utterances held out ({name})."
    return write_report(
        out / "report.html", title="A recogniser of your own", sections=sections, facts=facts, lead=lead
    )


def _passes(plan: Plan, rung: Path) -> "Section":
    """The training of every stage."""
    from . import training_section

    logs = {stage: read_json(rung.parent / stage / "training.json")["log"] for stage in plan.stages}
    return training_section(
        {s: [(p["iteration"], p["log_likelihood"], p["n_gaussians"]) for p in log] for s, log in logs.items()}
    )


def _tuning(tested: Path) -> "Section":
    """The errors of the settings on the lines through the chosen one."""
    from . import tuning_section

    points = [TuningPoint(**p) for p in read_json(tested / "tuning.json")]
    best = best_point(points)
    scale = [(p.acoustic_scale, p.rate) for p in points if p.insertion_penalty == best.insertion_penalty]
    penalty = [(p.insertion_penalty, p.rate) for p in points if p.acoustic_scale == best.acoustic_scale]
    return tuning_section(
        {"acoustic scale": {"all": scale}, "insertion penalty": {"all": penalty}},
        chosen={
            "acoustic scale": {"all": best.acoustic_scale},
            "insertion penalty": {"all": best.insertion_penalty},
        },
        note="Errors of characters.",
    )
