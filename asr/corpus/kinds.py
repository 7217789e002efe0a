"""Which kind of corpus lies at a path."""

from pathlib import Path
from typing import Literal

from ..errors import CorpusError
from ..files import kind_of
from .lhotse import SUFFIXES, manifests_in

_WANTED = (
    "need a folder of recordings with transcripts, a Kaldi data directory, a table (.tsv, .csv), or Lhotse manifests "
    "(recordings*, supervisions* or cuts*.jsonl[.gz])"
)


def corpus_kind(path: Path) -> Literal["kaldi", "folder", "tsv", "csv", "lhotse"]:
    """The kind of corpus, by what is there and its names.

    Raises:
        CorpusError: where it is none.
    """
    kind = kind_of(path)
    if kind == "missing":
        raise CorpusError(f"{path}: no such file or folder; {_WANTED}")
    if kind not in ("file", "folder"):
        raise CorpusError(f"{path}: may not or cannot be opened, or is a pipe or device; {_WANTED}")
    if kind == "folder":
        if "file" in (kind_of(path / "wav.scp"), kind_of(path / "feats.scp")):
            return "kaldi"
        return "lhotse" if any(manifests_in(path).values()) else "folder"
    name = path.name.lower()
    if name.endswith((".tsv", ".csv")):
        return "tsv" if name.endswith(".tsv") else "csv"
    if name.endswith(SUFFIXES):
        return "lhotse"
    if path.name in ("wav.scp", "feats.scp", "text", "segments", "utt2spk"):
        raise CorpusError(f"{path}: is one list of a Kaldi data directory; give the folder, {path.parent}")
    raise CorpusError(f"{path}: is no corpus; {_WANTED}")
