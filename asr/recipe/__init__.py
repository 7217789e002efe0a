"""What every recipe shares: settings from a TOML file, stages that are not run twice, and the table of results."""

from ..options import load_config
from ..report.results import ResultRow, read_results, results_table, write_results
from .stages import Run, cpu_seconds, run_recipe

__all__ = [
    "ResultRow",
    "Run",
    "cpu_seconds",
    "load_config",
    "read_results",
    "results_table",
    "run_recipe",
    "write_results",
]
