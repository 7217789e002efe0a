"""The table of a recipe's results: results.json, one row a system and test, and its printed form."""

import dataclasses
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

from ..errors import AsrError, ConfigError
from ..files import write_text
from ..files.json_files import read_json, taking_apart

ADAPTATIONS = ("none", "speaker", "session", "utterance")
METRICS = ("wer", "cer", "per")
KEY = ("model", "features", "variant", "adaptation", "test", "metric", "seed")


@dataclasses.dataclass(frozen=True)
class ResultRow:
    """One measured number, with all that is needed to say what it is. The first seven fields are unique in a file."""

    model: str  # e.g. "mono"
    features: str  # e.g. "mfcc"
    variant: str  # empty for the plain system, else e.g. "vtln"
    adaptation: str  # what of the test speaker's audio was used beyond the utterance's past: see ADAPTATIONS
    test: str  # name of the test set
    metric: str  # wer, cer or per
    seed: int
    value: float  # percent
    errors: int
    total: int  # reference tokens
    train_cpu_seconds: float  # children counted
    decode_rtf: float  # seconds of work for a second of audio
    substitutions: int | None = None  # the three kinds of errors; None where a file does not say
    deletions: int | None = None
    insertions: int | None = None
    edges_within_50_ms: float | None = None  # percent, of correct words' starts and ends; None: true ones not known

    def __post_init__(self) -> None:
        if self.adaptation not in ADAPTATIONS:
            raise ConfigError(f"adaptation is {self.adaptation!r}; it must be one of {', '.join(ADAPTATIONS)}")
        if self.metric not in METRICS:
            raise ConfigError(f"metric is {self.metric!r}; it must be one of {', '.join(METRICS)}")
        if self.total < 1 or abs(self.value - 100 * self.errors / self.total) > 0.006:
            raise ConfigError(f"value={self.value} is not 100 * errors={self.errors} / total={self.total}, in percent")

        kinds = (self.substitutions, self.deletions, self.insertions)
        if any(k is not None for k in kinds) and (None in kinds or sum(k or 0 for k in kinds) != self.errors):
            raise ConfigError(f"substitutions, deletions and insertions are {kinds}; they do not add to {self.errors}")

    @property
    def key(self) -> tuple:
        """What identifies the row."""
        return tuple(getattr(self, name) for name in KEY)


def write_results(path: str | os.PathLike, rows: Iterable[ResultRow]) -> None:
    """Write results.json: a JSON list with one row a line.

    Raises:
        ConfigError: if two rows have the same key.
    """
    listed = list(rows)
    _check_unique(listed, str(path))
    lines = [json.dumps(_rounded(row), ensure_ascii=False) for row in listed]
    write_text(path, "[\n " + ",\n ".join(lines) + "\n]\n" if lines else "[]\n")


def read_results(path: str | os.PathLike) -> list[ResultRow]:
    """The rows of a results.json.

    Raises:
        AsrError: if the file is missing or is not such a file.
    """
    fields = dataclasses.fields(ResultRow)
    names = {f.name for f in fields}
    needed = {f.name for f in fields if f.default is dataclasses.MISSING}
    values = read_json(path, kind=list)
    for number, value in enumerate(values, start=1):
        if not isinstance(value, dict) or not needed <= set(value) <= names:
            found = sorted((set(value) - names) | (needed - set(value))) if isinstance(value, dict) else value
            raise AsrError(f"{path}: row {number} has not the keys of a result; missing or unknown: {found}")
    with taking_apart(path, what="a results file"):
        rows = [ResultRow(**value) for value in values]
        _check_unique(rows, str(path))
    return rows


def results_table(rows: Sequence[ResultRow]) -> str:
    """The rows as a table that reads well in a terminal and is Markdown; empty columns are left out.

    Examples:
        >>> row = ResultRow("mono", "mfcc", "", "none", "official", "wer", 0, 0.67, 2, 300, 21.0, 0.01)
        >>> print(results_table([row]))
        | model | features | adaptation | test     | seed | wer % | errors/total | train CPU s | decode RTF |
        |-------|----------|------------|----------|-----:|------:|-------------:|------------:|-----------:|
        | mono  | mfcc     | none       | official |    0 |  0.67 |        2/300 |        21.0 |     0.0100 |
    """
    columns = table_columns(rows)
    widths = [max(map(len, [column.name, *column.cells])) for column in columns]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(w) if column.is_number else cell.ljust(w)
            for cell, w, column in zip(cells, widths, columns, strict=True)
        ]
        return "| " + " | ".join(padded) + " |"

    rule = "|" + "|".join("-" * (w + 1) + (":" if c.is_number else "-") for w, c in zip(widths, columns, strict=True))
    body = [line([column.cells[i] for column in columns]) for i in range(len(rows))]
    return "\n".join([line([column.name for column in columns]), rule + "|", *body])


@dataclasses.dataclass(frozen=True)
class Column:
    """A column of the printed table."""

    name: str
    cells: list[str]
    is_number: bool


def table_columns(rows: Sequence[ResultRow]) -> list[Column]:
    """The columns of the printed table, without those that say nothing about these rows."""
    metrics = sorted({row.metric for row in rows})
    columns = [
        Column("model", [r.model for r in rows], False),
        Column("features", [r.features for r in rows], False),
        Column("variant", [r.variant for r in rows], False),
        Column("adaptation", [r.adaptation for r in rows], False),
        Column("test", [r.test for r in rows], False),
        Column("metric", [r.metric if len(metrics) > 1 else "" for r in rows], False),
        Column("seed", [str(r.seed) for r in rows], True),
        Column(f"{metrics[0]} %" if len(metrics) == 1 else "%", [f"{r.value:.2f}" for r in rows], True),
        Column("errors/total", [f"{r.errors}/{r.total}" for r in rows], True),
        Column("sub", [_known(r.substitutions) for r in rows], True),
        Column("del", [_known(r.deletions) for r in rows], True),
        Column("ins", [_known(r.insertions) for r in rows], True),
        Column("edges in 50 ms %", [_known(r.edges_within_50_ms, ".1f") for r in rows], True),
        Column("train CPU s", [f"{r.train_cpu_seconds:.1f}" for r in rows], True),
        Column("decode RTF", [f"{r.decode_rtf:.4f}" for r in rows], True),
    ]
    return [column for column in columns if any(column.cells)]


def _rounded(row: ResultRow) -> dict[str, Any]:
    digits = {"value": 4, "train_cpu_seconds": 2, "decode_rtf": 5, "edges_within_50_ms": 2}
    known = {k: v for k, v in dataclasses.asdict(row).items() if v is not None}
    return {k: round(v, digits[k]) if k in digits else v for k, v in known.items()}


def _known(value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form)


def _check_unique(rows: Sequence[ResultRow], where: str) -> None:
    seen: set[tuple] = set()
    for row in rows:
        if row.key in seen:
            described = ", ".join(f"{name}={value!r}" for name, value in zip(KEY, row.key, strict=True))
            raise ConfigError(f"{where}: two results for {described}; give one of them another variant or test name")
        seen.add(row.key)
