"""Writing Kaldi data directories."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of, replacing
from .utterance import Utterance

_WRITTEN = ("wav.scp", "text", "utt2spk", "spk2utt", "segments", "reco2file_and_channel")


def write_kaldi(utterances: Sequence[Utterance], directory: Path) -> None:
    """Write `Corpus.to_kaldi`'s files."""
    has_audio, has_features = (all(getattr(u, what) for u in utterances) for what in ("audio", "features"))
    if not has_audio and not has_features:
        lacking = next(u.id for u in utterances if not u.audio)
        raise CorpusError(f"utterance {lacking!r} has no audio; a data directory needs a recording for each")
    features = _features(utterances, required=not has_audio)
    recordings, segments = _recordings(utterances) if has_audio else ({}, {})
    of_speaker: dict[str, list[str]] = {}
    for utterance in sorted(utterances, key=lambda u: u.id):
        of_speaker.setdefault(utterance.speaker, []).append(utterance.id)
    tables = {
        "wav.scp": recordings,
        "feats.scp": features,
        "utt2spk": {u.id: u.speaker for u in utterances},
        "spk2utt": {speaker: " ".join(names) for speaker, names in of_speaker.items()},
        "text": {u.id: u.text for u in utterances if u.text is not None},
        "segments": segments,
    }
    _write(directory, {name: table for name, table in tables.items() if table})


def _write(directory: Path, tables: Mapping[str, Mapping[str, str]]) -> None:
    """The tables as files of a directory, which may replace an older one of the same kind."""
    kind = kind_of(directory)
    if kind not in ("missing", "folder"):
        raise CorpusError(f"{directory}: is there and not a directory; choose an empty or new one")
    mine = {*_WRITTEN, *tables}  # a feats.scp that took hours is replaced only by another one
    others = sorted(p.name for p in directory.iterdir() if p.name not in mine) if kind == "folder" else []
    if others:
        raise CorpusError(f"{directory}: holds other files ({', '.join(others[:3])}); choose an empty or new directory")
    with replacing(directory) as temporary:
        temporary.mkdir()
        for name, table in tables.items():
            # Code points sort as UTF-8 bytes do, which is the order of LC_ALL=C.
            lines = [f"{key} {value}".rstrip() + "\n" for key, value in sorted(table.items())]
            (temporary / name).write_text("".join(lines), encoding="utf-8", newline="\n")


def _features(utterances: Sequence[Utterance], *, required: bool) -> dict[str, str]:
    """feats.scp; empty where not every utterance has features in a Kaldi archive."""
    places = {}
    for utterance in utterances:
        place = utterance.features
        if place is None or place.lower().endswith(".npy"):
            if required:
                raise CorpusError(
                    f"utterance {utterance.id!r}: Kaldi cannot read {place!r}; write a Kaldi archive first"
                )
            return {}
        places[utterance.id] = _writable(Path(place).absolute(), utterance.id, "feats.scp")
    return places


def _writable(path: Path, name: str, table: str) -> str:
    """A path as it stands in a table."""
    text = str(path)
    if text != text.strip() or "\n" in text or text.endswith("|") or not text.isprintable():
        raise CorpusError(f"utterance {name!r}: {table} cannot hold the path {text!r}; rename the file")
    return text


def _recordings(utterances: Sequence[Utterance]) -> tuple[dict[str, str], dict[str, str]]:
    """wav.scp and segments (empty where every utterance is a recording of its own)."""
    paths = {u.id: _writable(u.audio.absolute(), u.id, "wav.scp") for u in utterances if u.audio is not None}
    if all(u.start is None and u.end is None and u.channel is None for u in utterances):
        return paths, {}
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for path in dict.fromkeys(paths.values()):
        stem = "_".join(Path(path).stem.split())
        name = stem
        while taken[name]:
            taken[stem] += 1
            name = f"{stem}-{taken[stem]}"
        taken[name] += 1
        names[path] = name
    segments = {
        u.id: f"{names[paths[u.id]]} {u.start or 0.0!r} {-1 if u.end is None else repr(u.end)}"
        + ("" if u.channel is None else f" {u.channel}")
        for u in utterances
    }
    return {name: path for path, name in names.items()}, segments
