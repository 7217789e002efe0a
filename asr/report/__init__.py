"""One self-contained HTML page a run: `write_report(path, title=..., sections=[...], facts=run_facts(seed=0))`.

A page is a list of `Section`s. Those below make the usual ones from plain data; a recipe may add its own, with HTML of
its own making or the plots of asr.report.plots.
"""

from .curves import alignment_section, network_section, stages_section, training_section, tuning_section
from .page import Headline, Section, check_plotting, run_facts, write_report
from .phrases import glossary_section, headline, sentence, system_in_words, test_in_words
from .sections import (
    comparison_section,
    confusion_section,
    doubtful_section,
    edge_section,
    results_section,
    speaker_section,
    utterance_section,
)
from .sound import Player

__all__ = [
    "Headline",
    "Player",
    "Section",
    "alignment_section",
    "check_plotting",
    "comparison_section",
    "confusion_section",
    "doubtful_section",
    "edge_section",
    "glossary_section",
    "headline",
    "network_section",
    "results_section",
    "run_facts",
    "sentence",
    "speaker_section",
    "stages_section",
    "system_in_words",
    "test_in_words",
    "training_section",
    "tuning_section",
    "utterance_section",
    "write_report",
]
