"""Facts of the files that training, recipes and networks write beside models: arrays, JSON, tensors, whole runs."""

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import CorpusError, ModelError
from ..files import kind_of
from ..files.arrays import read_npz
from ..files.json_files import parse_json, read_json, taking_apart
from .facts import Facts
from .features import feature_facts

_SHOWN = 10  # names that are listed
_MOST_HEADER = 100_000_000  # bytes of a safetensors header, the format's own limit

Arrays = Mapping[str, np.ndarray]


def npz_facts(path: Path) -> Facts:
    """Facts of an .npz file, told by the names of its arrays.

    Raises:
        CorpusError: for a damaged one.
    """
    arrays = read_npz(path, error=CorpusError)
    names = frozenset(arrays)
    if names == {"ids", "frames", "offsets"}:
        return feature_facts(path)
    is_pipeline = names and all(name.startswith(("cmvn_prior_", "affine_", "pauses")) for name in names)
    what = "prior statistics and matrices of a feature pipeline" if is_pipeline else "arrays"
    told: Callable[..., Facts] = _nothing
    for title, needed, function in _ARRAYS:
        if needed <= names:
            what, told = title, function
    with taking_apart(path, what=what, error=CorpusError):
        facts = {"what": what, "where": str(path), **told(arrays)}
    listed = [{"name": n, "shape": "x".join(map(str, a.shape)) or "1", "type": str(a.dtype)} for n, a in arrays.items()]
    return {**facts, "bytes": path.stat().st_size, "arrays": listed}


def _nothing(arrays: Arrays) -> Facts:
    return {}


def _alignments(arrays: Arrays) -> Facts:
    lengths = sorted(map(int, arrays["lengths"]))
    if sum(lengths) != len(arrays["transition_ids"]) or len(lengths) != len(arrays["ids"]):
        raise CorpusError("its ids, lengths and transition ids do not belong together; train again")
    return {
        "utterances": len(lengths),
        "frames": sum(lengths),
        "frames_min_median_max": f"{lengths[0]} {lengths[len(lengths) // 2]} {lengths[-1]}" if lengths else "none",
        "transition_ids": len(np.unique(arrays["transition_ids"])),
        "first_ids": " ".join(map(str, arrays["ids"][:3])),
    }


def _gaussians(arrays: Arrays) -> Facts:
    n_gauss, dim = arrays["means"].shape
    return {"pdfs": len(arrays["offsets"]) - 1, "gaussians": n_gauss, "dim": dim}


def _transitions(arrays: Arrays) -> Facts:
    tuples = arrays["tuples"]
    return {
        "phones": len(np.unique(tuples[:, 0])),
        "transition_ids": len(arrays["log_probs"]) - 1,
        "pdfs": int(tuples[:, 2:].max()) + 1,
    }


def _priors(arrays: Arrays) -> Facts:
    return {"outputs": len(arrays.get("log_priors", ())) or None, "prior_scale": float(arrays["prior_scale"])}


_ARRAYS: tuple[tuple[str, frozenset[str], Callable[[Arrays], Facts]], ...] = (
    ("alignments of a training", frozenset(("ids", "lengths", "transition_ids")), _alignments),
    ("Gaussians of an acoustic model", frozenset(("weights", "means", "variances", "offsets")), _gaussians),
    ("transition model", frozenset(("topology", "tuples", "log_probs")), _transitions),
    ("priors of a network", frozenset(("prior_scale",)), _priors),
)


def json_facts(path: Path) -> Facts:
    """Facts of a JSON file, told by its keys or those of its entries.

    Raises:
        AsrError: for a damaged one.
    """
    content = read_json(path, kind=object)
    sample = content[0] if isinstance(content, list) and content else content
    keys = frozenset(sample) if isinstance(sample, dict) else frozenset()
    what = ("list" if isinstance(content, list) else "object") + " of JSON"
    told: Callable[..., Facts] = _plain
    for title, kind, needed, function in _OBJECTS:
        if needed <= keys and isinstance(content, kind):
            what, told = title, function
            break
    with taking_apart(path, what=what):
        return {"what": what, "where": str(path), **told(content), "bytes": path.stat().st_size}


def _plain(content: Any) -> Facts:
    if isinstance(content, dict):
        return {"keys": " ".join(map(str, list(content)[:_SHOWN])) or None}
    return {"entries": len(content)} if isinstance(content, list) else {"value": str(content)[:80]}


def _curves(points: list[dict[str, Any]]) -> Facts:
    best = min(points, key=lambda point: point["held_out_loss"])
    return {
        "epochs": points[-1]["epoch"],
        "batches": points[-1]["step"],
        "minutes": round(points[-1]["seconds"] / 60, 1),
        "best_epoch": best["epoch"],
        "held_out_loss": best["held_out_loss"],
        "held_out_accuracy": best["held_out_accuracy"],
        "last_train_loss": points[-1]["train_loss"],
    }


def _results(rows: list[dict[str, Any]]) -> Facts:
    shown = ("model", "features", "variant", "test", "metric", "value", "seed")
    return {"rows": len(rows), "results": [{name: row[name] for name in shown} for row in rows]}


def _tuning(points: list[dict[str, Any]]) -> Facts:
    best = min(points, key=lambda point: point["errors"] / max(1, point["total"]))
    best = {**best.get("setting", {}), **{name: value for name, value in best.items() if name != "setting"}}
    return {"settings": len(points), "best": best}


def _training(told: dict[str, Any]) -> Facts:
    log = told["log"]
    if not log or "log_likelihood" not in log[-1]:
        return {"passes": len(log), "utterances_left_out": len(told["failures"])}
    return {
        "passes": len(log),
        "gaussians": log[-1]["n_gaussians"],
        "log_likelihood": log[-1]["log_likelihood"],
        "minutes": round(sum(record["seconds"] for record in log) / 60, 1),
        "utterances_left_out": len(told["failures"]),
    }


def _checkpoint(content: dict[str, Any]) -> Facts:
    return {
        "tensors": content["tensors"],
        "optimiser": content["optimizer"]["kind"],
        "state": {name: value for name, value in content["state"].items() if isinstance(value, (int, float, str))},
    }


def _stage(content: dict[str, Any]) -> Facts:
    return {name: content[name] for name in ("name", "finished", "wall_seconds", "cpu_seconds")}


def _named(*names: str) -> Callable[[Any], Facts]:
    """A function that takes some values of an object, those that are numbers or texts."""

    def values(content: dict[str, Any]) -> Facts:
        return {name: content[name] for name in names if isinstance(content.get(name), (int, float, str))}

    return values


# What a file is, its class, keys that it or its entries have, and what is told of it.
_OBJECTS: tuple[tuple[str, type, frozenset[str], Callable[[Any], Facts]], ...] = (
    ("training of a network in epochs", list, frozenset(("epoch", "train_loss", "held_out_loss", "step")), _curves),
    ("results of a recipe's systems", list, frozenset(("model", "features", "test", "metric", "value")), _results),
    ("errors of decoding settings", list, frozenset(("setting", "errors", "total")), _tuning),  # of a recipe's step
    ("errors of decoding settings", list, frozenset(("acoustic_scale", "errors", "total")), _tuning),
    ("comparisons of a recipe's systems", list, frozenset(("first", "second")), _plain),
    ("log of a training", dict, frozenset(("log", "failures")), _training),
    ("checkpoint of a training", dict, frozenset(("format", "tensors", "optimizer", "schedule", "state")), _checkpoint),
    ("record of a finished stage", dict, frozenset(("name", "key", "output", "wall_seconds")), _stage),
    ("test of a recogniser", dict, frozenset(("decode_rtf",)), _named("decode_rtf", "unfinished")),
    ("description of a synthesised corpus", dict, frozenset(("format", "options", "plan")), _plain),
)


def tensor_facts(path: Path) -> Facts:
    """Facts of a safetensors file, from its header. Raises ModelError for a damaged one. No torch is needed."""
    with path.open("rb") as stream:
        size = path.stat().st_size
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 0 < length <= min(_MOST_HEADER, size - 8):
            raise ModelError(f"{path}: not a safetensors file, or cut short")
        header = parse_json(stream.read(length), str(path), error=ModelError)
    with taking_apart(path, what="a safetensors file", error=ModelError):
        metadata = header.pop("__metadata__", {})
        tensors = {name: (entry["dtype"], [int(n) for n in entry["shape"]]) for name, entry in header.items()}
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        if end != size - 8 - length:
            raise ModelError(f"{path}: cut short: {8 + length + end} bytes are promised, {size} are there")
        what = "tensors"
        if "decoder" in metadata:
            what = "attention decoder of a network"
        elif any(name.startswith("optimizer.") for name in tensors):
            what = "tensors of a checkpoint; the .json beside them says more"
        elif tensors and all(name.split(".", 1)[0].isdigit() for name in tensors):
            what = "networks of a model; asr info of its folder says more"
        numbers = sum(int(np.prod(shape, dtype=object)) for _, shape in tensors.values())
    facts: Facts = {"what": what, "where": str(path), "tensors": len(tensors), "numbers": numbers}
    return {**facts, "types": " ".join(sorted({kind for kind, _ in tensors.values()})), "bytes": size}


def onnx_facts(path: Path) -> Facts:
    """Facts of an ONNX file.

    Raises:
        ModelError: for one that is damaged, or would not be run here.
    """
    from ..model.onnx_file import check_onnx

    operators = check_onnx(path.read_bytes(), str(path))
    listed = " ".join(f"{name}:{n}" for name, n in operators.most_common())
    facts: Facts = {"what": "network in ONNX", "where": str(path), "operators": sum(operators.values())}
    return {**facts, "of_each_kind": listed, "bytes": path.stat().st_size}


def g2p_facts(folder: Path) -> Facts:
    """Facts of a G2P model.

    Raises:
        ModelError: for a damaged one.
    """
    from ..lang.g2p import G2p

    model = G2p.load(folder)
    settings = {k: v for k, v in model.settings.items() if isinstance(v, (int, str))}
    return {
        "what": "G2P model: how words are said, from their letters",
        "where": str(folder),
        **settings,
        "phones": " ".join(map(str, model.settings.get("phones", ()))) or None,
        "ngrams": " ".join(f"{order}:{n}" for order, n in enumerate(model.model.n_ngrams, 1)),
    }


def is_run(folder: Path) -> bool:
    """Whether a folder is the OUT of `asr train` or of a recipe, or one of its stages."""
    return kind_of(folder / ".stages") == "folder" or kind_of(folder / "model" / "model.json") == "file"


def run_facts(folder: Path) -> Facts:
    """What is in the OUT of `asr train` or of a recipe, or in one of its stages."""
    records = []
    if kind_of(folder / ".stages") == "folder":
        for path in sorted((folder / ".stages").glob("*.json")):
            record = json_facts(path)
            records.append({name: record.get(name, "?") for name in ("name", "finished", "wall_seconds")})
    facts: Facts = {"what": "output of a training" if records else "stage of a training", "where": str(folder)}
    facts |= _tested(folder)
    for name, place in (("model", "model"), ("report", "report.html"), ("results", "results.json"), ("log", "run.log")):
        if kind_of(folder / place) != "missing":
            facts[name] = str(folder / place)
    others = sorted(p.name for p in folder.iterdir() if p.suffix in (".json", ".npz", ".tsv", ".safetensors", ".ctm"))
    return {**facts, "files": " ".join(others) or None, "stages": sorted(records, key=lambda r: str(r["finished"]))}


def _tested(folder: Path) -> Facts:
    """The hours and error rates of a finished `asr train`; nothing of another folder, or one that is not finished."""
    from ..errors import AsrError
    from ..scoring import score
    from ..scoring.reading import read_transcripts

    told: Facts = {}
    tested = folder / "work" / "held-out"
    try:
        card = (folder / "model" / "README.md").read_text(encoding="utf-8", errors="replace")
        if length := re.search(r"\) on ([\d.]+) minutes of speech", card):
            told["hours_of_speech"] = round(float(length[1]) / 60, 3)
        said = read_transcripts(tested / "references.tsv")
        told["held_out_utterances"] = len(said)
        for name in ("together", "alone"):
            hypotheses = read_transcripts(tested / f"{name}.tsv")
            rates = [score(said, hypotheses, unit=unit).rate for unit in ("word", "char")]
            what = "each_recording_alone" if name == "alone" else "speakers_recordings_together"
            told[f"errors_of_{what}"] = f"{rates[0]:.2f} % of words, {rates[1]:.2f} % of characters"
    except (OSError, AsrError):
        return told
    return told


def is_transcribed(path: Path) -> bool:
    """Whether a file begins as what `asr transcribe --format json` writes, an object a line."""
    with path.open("rb") as stream:
        return re.match(rb'\{"id": ".{0,2000}?", "words": \[', stream.read(4000), re.DOTALL) is not None


def transcribed_facts(path: Path) -> Facts:
    """Facts of what `asr transcribe --format json` wrote.

    Raises:
        CorpusError: for a damaged line.
    """
    n_recordings = n_words = n_phones = 0
    end = 0.0
    with path.open(encoding="utf-8", errors="replace") as stream:
        for number, line in enumerate(stream, 1):
            content = parse_json(line, f"{path}:{number}", error=CorpusError)
            with taking_apart(path, what="transcripts of asr transcribe", error=CorpusError):
                n_recordings += 1
                n_words += len(content["words"])
                n_phones += len(content["phones"])
                end += max((float(phone["end"]) for phone in content["phones"]), default=0.0)
    return {
        "what": "transcripts with times, of asr transcribe --format json",
        "where": str(path),
        "recordings": n_recordings,
        "words": n_words,
        "phones": n_phones,
        "seconds": round(end, 2),
        "bytes": path.stat().st_size,
    }


def transcript_facts(path: Path) -> Facts:
    """Facts of a file of transcripts, such as hypotheses.

    Raises:
        AsrError: for what is none.
    """
    from ..scoring.reading import read_transcripts

    texts = read_transcripts(path)
    words = [word for text in texts.values() for word in text.split()]
    facts: Facts = {"what": "transcripts", "where": str(path), "utterances": len(texts), "words": len(words)}
    return {**facts, "different_words": len(set(words)), "first_ids": " ".join(list(texts)[:3])}
