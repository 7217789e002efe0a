"""One self-contained HTML page a run: `write_report(path, title=..., sections=[...], facts=run_facts(seed=0))`.

A page is a list of `Section`s. Those below make the usual ones from plain data; a recipe may add its own, with HTML of
its own making or the plots of asr.report.plots.
"""

from .page import Section, check_plotting, run_facts, write_report
from .sections import (
    alignment_section,
    comparison_section,
    confusion_section,
    edge_section,
    network_section,
    results_section,
    speaker_section,
    training_section,
    tuning_section,
    utterance_section,
)

__all__ = [
    "Section",
    "alignment_section",
    "check_plotting",
    "comparison_section",
    "confusion_section",
    "edge_section",
    "network_section",
    "results_section",
    "run_facts",
    "speaker_section",
    "training_section",
    "tuning_section",
    "utterance_section",
    "write_report",
]
