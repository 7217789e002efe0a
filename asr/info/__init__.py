"""What a person wants to know of a model, graph, corpus, lexicon, recording or other file: `describe(place)`."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from ..errors import AsrError
from ..files import kind_of
from ..options import given
from .facts import Facts

_TEXTS = (".txt", ".tsv", ".dict", ".lexicon", ".lex")
_TABLES = (".jsonl", ".jsonl.gz", ".csv")
_NGRAMS = (".arpa", ".arpa.gz", ".ngram")
_TRANSCRIPTS = (".ctm", ".stm", ".trn")
_FOR_READING = {  # what is to be opened by other programs
    ".html": "report or other web page, for a browser",
    ".md": "notes (Markdown)",
    ".log": "log of a run",
    ".toml": "settings of a recipe (TOML)",
    ".svg": "picture",
    ".png": "picture",
    ".pdf": "document (PDF)",
    ".srt": "subtitles",
    ".vtt": "subtitles",
}
_OPENFST = (2125659606).to_bytes(4, "little")  # how OpenFst's files begin


def describe(
    place: str | os.PathLike,
    *,
    speaker: str | None = None,
    text_suffix: str | None = None,
    tier: str | None = None,
    channel: "int | Literal['each'] | None" = None,
    allow_commands: str | os.PathLike | None = None,
    all_problems: bool = False,
) -> Facts:
    """Facts of whatever lies there; the first are "what" it is and "where".

    Args:
        place: a path, or the name of a shipped model. A folder with a model.json is a model, another one a corpus;
            files are told apart by their endings and first bytes.
        speaker: as of Corpus.from_folder, for a folder of recordings.
        text_suffix: as of Corpus.from_folder, for a folder of recordings.
        tier: as of Corpus.from_folder, for a folder of recordings.
        channel: of a corpus, see Corpus.read.
        allow_commands: of a corpus, see Corpus.read.
        all_problems: list each, not each kind.

    Raises:
        AsrError: for what does not exist, is damaged, or of no kind that is known.
    """
    of_corpus = {"channel": channel, "allow_commands": allow_commands, "all_problems": all_problems}
    path, folder = Path(place), given(speaker=speaker, text_suffix=text_suffix, tier=tier)
    kind = kind_of(path) if os.fspath(place) else "missing"
    if folder and kind != "folder":
        raise AsrError(f"{place}: is no folder of recordings; {' and '.join(folder)} can only be given for one")
    if kind == "folder":
        known: Callable[..., Facts] = partial(_folder, corpus=of_corpus, **folder)
    elif kind == "file":
        known = partial(_file, corpus=of_corpus)
    elif kind == "missing":
        known = _name
    else:
        raise AsrError(f"{place}: cannot be looked into: it is a pipe or device, or there is no permission")
    try:
        return known(path)
    except OSError as error:
        raise AsrError(f"{place}: cannot be read: {error.strerror or error}") from None


def _name(path: Path) -> Facts:
    """A shipped model."""
    from ..errors import did_you_mean
    from ..model.model import shipped_models
    from .model import model_facts

    if path.is_symlink():
        raise AsrError(f"{path}: is a link to {path.readlink()}, which is not there")
    names = shipped_models()
    if str(path) not in names:
        raise AsrError(f"{path}: no such file or folder, and no shipped model{did_you_mean(str(path), names)}")
    return model_facts(path)


def _folder(path: Path, corpus: Mapping[str, Any], **settings: Any) -> Facts:
    if kind_of(path / "model.json") == "file" and not settings:
        from .model import model_facts

        return model_facts(path)
    if not settings:
        from . import own

        if kind_of(path / "g2p.json") == "file":
            return own.g2p_facts(path)
        if own.is_run(path):
            return own.run_facts(path)
    from .corpus import corpus_facts

    return corpus_facts(path, **corpus, **settings)


def _file(path: Path, corpus: Mapping[str, Any]) -> Facts:
    """A file, by its ending or its first bytes."""
    from . import features, files, own

    suffix = path.suffix.lower()
    with path.open("rb") as stream:
        head = stream.read(4)
    if path.name in ("model.json", "g2p.json"):
        return _folder(path.parent, corpus)
    if head == _OPENFST or suffix == ".fst":
        from .model import graph_facts

        return graph_facts(path)
    if head in (b"\\dat", b"ASRN") or path.name.lower().endswith(_NGRAMS):
        return files.language_model_facts(path)
    if path.name == "tree.json":
        from .tree import tree_facts

        return tree_facts(path)
    if suffix in (".json", ".jsonl") and own.is_transcribed(path):
        return own.transcribed_facts(path)
    of_suffix = {
        **dict.fromkeys((".npy", ".ark", ".scp"), features.feature_facts),
        **dict.fromkeys(_TRANSCRIPTS, own.transcript_facts),
        ".npz": own.npz_facts,
        ".json": own.json_facts,
        ".safetensors": own.tensor_facts,
        ".onnx": own.onnx_facts,
    }
    if suffix in of_suffix:
        return of_suffix[suffix](path)
    if path.name.lower().endswith(_TABLES):
        from .corpus import corpus_facts

        if suffix == ".csv" and files.is_lexicon_of_cells(path):
            raise AsrError(f"{path}: words and phones with commas between; a lexicon has blanks or a tab: word W ER D")
        return corpus_facts(path, **corpus)
    if suffix in _TEXTS or path.name in ("text", "lexicon"):
        return files.text_facts(path, corpus)
    if suffix in _FOR_READING and b"\0" not in head:
        return {"what": _FOR_READING[suffix], "where": str(path), "bytes": path.stat().st_size}
    return files.audio_facts(path)


def as_lines(facts: Mapping[str, Any], indent: str = "") -> list[str]:
    """Facts for a person's eyes: names beside values, tables in columns."""
    plain = [name for name, value in facts.items() if not isinstance(value, (Mapping, list))]
    width = max((len(name) for name in plain), default=0)
    lines: list[str] = []
    for name, value in facts.items():
        label = name.replace("_", " ")
        if isinstance(value, Mapping):
            lines += [f"{indent}{label}", *as_lines(value, indent + "  ")] if value else []
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            lines += [f"{indent}{label}", *_table(value, indent + "  ")]
        elif isinstance(value, list):
            lines += [f"{indent}{label}", *(f"{indent}  {_shown(item)}" for item in value)] if value else []
        elif value is not None:
            lines.append(f"{indent}{label:{width}}  {_shown(value)}".rstrip())
    return lines


def _table(rows: list[Mapping[str, Any]], indent: str) -> list[str]:
    columns = list(rows[0])
    cells = [[c.replace("_", " ") for c in columns], *([_shown(row[c]) for c in columns] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    right = [not isinstance(rows[0][c], str) for c in columns]
    aligned = [
        [cell.rjust(w) if r else cell.ljust(w) for cell, w, r in zip(line, widths, right, strict=True)]
        for line in cells
    ]
    return [f"{indent}{'  '.join(line)}".rstrip() for line in aligned]


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    return f"{value:,}" if isinstance(value, int) and value >= 10000 else " ".join(str(value).split("\n"))
