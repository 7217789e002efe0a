"""Stages of a recipe: folders that are made once, and again only when what they are made from has changed."""

import contextlib
import dataclasses
import hashlib
import importlib.util
import inspect
import json
import logging
import os
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from ..errors import AsrError, ConfigError
from ..files import sha256, write_text
from ..files.json_files import read_json

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

logger = logging.getLogger("asr.recipe")

_PROCESSES = ("n_jobs", "gpus")  # inputs that change no stage's output: by how many processes it is made, and where

_SAY_EVERY = 10.0  # s between lines on progress
_LEAST_SECONDS, _LEAST_PART = 5.0, 0.05  # of the work, that an estimate is made from

# Parts of asr/ that do not either.
_PRESENTATION = ("cli", "display", "info", "report", "transcribe", "__main__.py", "recipe")


@dataclasses.dataclass(frozen=True)
class StageRecord:
    """What is known of a finished stage; kept as OUT/.stages/NAME.json, so that a resumed run still has the times."""

    name: str
    key: str  # hash of the inputs, the options and the code
    output: str  # hash of the folder
    wall_seconds: float
    cpu_seconds: float  # of this process and its children
    finished: str  # local time, ISO 8601


class Run:
    """One run of a recipe in one folder.

    >>> run = Run("out")
    >>> features = run.stage("features", extract, {"corpus": Path("recordings"), "n_jobs": 2})  # doctest: +SKIP
    >>> model = run.stage("mono", train, {"features": features, "passes": 40, "seed": 0})  # doctest: +SKIP
    """

    def __init__(self, out_dir: str | os.PathLike, *, code: str | None = None, n_stages: int | None = None) -> None:
        """
        out_dir: the run's folder, made if need be. Each stage has one folder in it, named as the stage.
        code: what stands for the version of the code; by default a hash of the toolkit's sources.
        n_stages: how many stages there will be, if that is known; it is told with each.
        """
        self.folder = Path(out_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._code = code if code is not None else _code_hash()
        self._n_stages = n_stages
        details = _LogFile(self.folder / "run.log", encoding="utf-8", delay=True)
        details.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logging.getLogger("asr").addHandler(details)
        self.folders: dict[str, Path] = {}  # of the stages finished in this run, by name
        self._known: dict[Path, str] = {}  # hashes of those folders

    def stage(self, name: str, make: Callable[..., None], inputs: Mapping[str, Any] | None = None) -> Path:
        """The folder of a stage, made now unless it is there, whole, from the same inputs.

        name: the folder's name, once in a run.
        make: called as make(folder, **inputs); writes its results as files into the folder. If it has a parameter
            `progress`, it is given a function to be called with (done, total). A plain function without variables
            of an enclosing one: what it depends on are its inputs, its own file and the toolkit's sources.
        inputs: Path objects (files and folders count with their contents, so pass those of earlier stages),
            dataclasses, numbers, texts, None, numpy arrays, and lists, tuples and dictionaries of those. Those called
            `n_jobs` and `gpus` may change: results do not depend, but for rounding, on how many processes work where.
        Raises ConfigError for an input of another kind; what `make` raises goes through, and leaves nothing behind.

        The results appear whole or not at all: an interrupted stage starts anew, finished ones are kept. Several runs
        of the same code and settings may share a folder: a stage that another one makes is waited for (but not on
        Windows, where each needs its own). What they write at their ends is that of the last.
        """
        if name in self.folders:
            raise ConfigError(f"stage {name!r} is there twice; give each stage its own name")
        inputs = dict(inputs or {})
        key = self._key(name, make, inputs)
        folder = self.folder / name
        with _no_other_process(self.folder / ".stages" / "lock", name):
            record = self.record(name)
            if record is not None and record.key == key and folder.is_dir() and hash_of(folder) == record.output:
                logger.info("%s: there already (%s)", self._place(name), _seconds(record.wall_seconds))
            else:
                record = self._make(name, make, inputs, key)
        self._known[folder] = record.output
        self.folders[name] = folder
        return folder

    @contextlib.contextmanager
    def last(self, name: str) -> Iterator[None]:
        """Tell of work after the stages, such as a report, which is done in every run: when it begins and ends."""
        logger.info("%s ...", self._place(name))
        begin = time.perf_counter()
        yield
        logger.info("%s: done in %s", name, _seconds(time.perf_counter() - begin))

    def record(self, name: str) -> StageRecord | None:
        """What is known of a stage that was finished in this or an earlier run, or None."""
        try:
            return StageRecord(**read_json(self._record_path(name)))
        except (AsrError, TypeError):
            return None

    def cpu_seconds(self, *names: str) -> float:
        """Processor time that the named stages took when they were made, children counted."""
        total = 0.0
        for name in names:
            record = self.record(name)
            if record is None:
                raise AsrError(f"{self.folder}: no stage {name!r} has been finished here")
            total += record.cpu_seconds
        return total

    def _make(self, name: str, make: Callable[..., None], inputs: dict[str, Any], key: str) -> StageRecord:
        partial = self.folder / ".partial" / name
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        logger.info("%s ...", self._place(name))
        wall, cpu = time.perf_counter(), cpu_seconds()
        try:
            with _progress(self._place(name)) as progress, naming(self.folder / name):
                if "progress" in inspect.signature(make).parameters:
                    make(partial, **inputs, progress=progress)
                else:
                    make(partial, **inputs)
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
            # Without its record a folder counts as unfinished: drop the old one first, write the new one last.
            self._record_path(name).unlink(missing_ok=True)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            partial.replace(self.folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # and no more: another run may make a stage beside it
        finished = time.strftime("%Y-%m-%dT%H:%M:%S")
        record = StageRecord(name, key, hash_of(self.folder / name), round(wall, 3), round(cpu, 3), finished)
        write_text(self._record_path(name), json.dumps(dataclasses.asdict(record), indent=1) + "\n")
        logger.info("%s: done in %s (%s of processor time)", name, _seconds(wall), _seconds(cpu))
        return record

    def _place(self, name: str) -> str:
        """A stage's name, after its number where it is known how many there will be."""
        return name if self._n_stages is None else f"stage {len(self.folders) + 1} of {self._n_stages}, {name}"

    def _key(self, name: str, make: Callable[..., None], inputs: dict[str, Any]) -> str:
        digest = hashlib.sha256()
        for part in (name, self._code, _source(make, f"stage {name}")):
            digest.update(part.encode() + b"\0")
        for input_name, value in sorted((n, v) for n, v in inputs.items() if n not in _PROCESSES):
            digest.update(f"{input_name}={_hash_value(value, f'stage {name}: {input_name}', self._known)}\0".encode())
        return digest.hexdigest()

    def _record_path(self, name: str) -> Path:
        return self.folder / ".stages" / f"{name}.json"


class _LogFile(logging.FileHandler):
    """A log that ends the run where it cannot be written, as on a full disk, instead of a traceback for each line."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Let the error through, with the file's name."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError) and error.filename is None:
            error.filename = self.baseFilename
        if error is not None:
            raise error


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system that do not say of which file they are, such as a full disk, are of this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextlib.contextmanager
def _no_other_process(path: Path, name: str) -> Iterator[None]:
    """Hold a stage's lock, which ends with the process: one byte of a file, whose place its name tells."""
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        if fcntl is not None:
            place = zlib.crc32(name.encode())
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
            except (BlockingIOError, PermissionError):
                logger.info("%s: another run makes it; waiting for that", name)
                fcntl.lockf(file, fcntl.LOCK_EX, 1, place)
            except OSError as error:
                logger.warning("%s: no locks here (%s); let no other run work in this folder", path, error.strerror)
        yield


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's contents, or of the relative names and contents of all files of a folder."""
    if not path.is_dir():
        return sha256(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\0".encode())
    return digest.hexdigest()


def cpu_seconds() -> float:
    """Processor time of this process and of all children that have ended, in seconds; for differences.

    joblib keeps its idle workers alive, and a living child is not counted: they are told to end first.
    """
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and getattr(loky, "_executor", None) is not None:
        loky._executor.shutdown(wait=True)
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def run_recipe(main: Callable[[], None]) -> None:
    """Run a recipe's main function as a program: stages and warnings on stderr, errors without a traceback.

    Everything that is logged, each training pass too, goes to run.log in the run's folder.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(lambda record: record.name == logger.name or record.levelno >= logging.WARNING)
    package_logger = logging.getLogger("asr")
    package_logger.addHandler(handler)
    package_logger.setLevel(logging.INFO)
    if importlib.util.find_spec("pynini") is None:
        logger.warning(
            "pynini is not installed here (it has wheels for Linux x86-64 only): no new decoding graph can be built"
        )
    try:
        main()
    except AsrError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno is None:
            raise
        what = f"{error.filename or 'writing'}: {error.strerror}"
        sys.exit(f"error: {what}; make room, or give --out another folder: the same command goes on where it stopped")
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on with the stage that was not finished\n")
        sys.exit(130)
    finally:
        package_logger.removeHandler(handler)


def _hash_value(value: Any, where: str, known: Mapping[Path, str]) -> str:
    """A text that is equal for equal inputs only. known: hashes of folders that need not be read again."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    if isinstance(value, Path):
        if not value.exists():
            raise ConfigError(f"{where}: {value} does not exist")
        return f"path:{known[value] if value in known else hash_of(value)}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (
            f"array:{value.dtype.str}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [f.name for f in dataclasses.fields(value)]
        parts = ",".join(f"{n}={_hash_value(getattr(value, n), f'{where}.{n}', known)}" for n in names)
        return f"{type(value).__qualname__}({parts})"
    if isinstance(value, Mapping):
        pairs = [f"{_hash_value(k, where, known)}:{_hash_value(v, f'{where}[{k!r}]', known)}" for k, v in value.items()]
        return "{" + ",".join(sorted(pairs)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_hash_value(v, f"{where}[{i}]", known) for i, v in enumerate(value)) + "]"
    raise ConfigError(
        f"{where} is of type {type(value).__name__}, whose content cannot be hashed; pass the path of a file or folder "
        "that holds it, or options as a dataclass"
    )


def _source(function: Callable, where: str) -> str:
    """The file that a function was written in, so that an edit there makes its stages run again."""
    if not inspect.isfunction(function) or function.__closure__:
        raise ConfigError(
            f"{where}: {function!r} is not a plain function of its inputs; write it at the top level of a module, and "
            "pass what it needs as inputs, so that a change of them is noticed"
        )
    try:
        return inspect.getsource(sys.modules[function.__module__])
    except (OSError, TypeError, KeyError):  # typed into an interactive session
        return f"{function.__module__}.{function.__qualname__}"


def _code_hash() -> str:
    """The toolkit's version and sources, without those parts that only show results."""
    package = Path(__file__).resolve().parent.parent
    digest = hashlib.sha256(__version__.encode())
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package)
        if relative.parts[0] not in _PRESENTATION:
            digest.update(f"{relative.as_posix()}\0{sha256(file)}\0".encode())
    return digest.hexdigest()


class Progress:
    """What a stage tells of its progress: a bar with the time left on a terminal, else a log line every ten seconds."""

    place: Callable[[float], str] | None = None
    """Where that is, in words, such as an epoch, for a part of the work from 0 to 1; a stage may set it."""

    def __init__(self, name: str, bar: "Bar | None" = None) -> None:
        self._name, self._bar, self._left = name, bar, TimeLeft()
        self._task = None if bar is None else bar.add_task(name, total=None, left="")
        self._said = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        """Tell that so much of all is done."""
        left, name = self._left(done, total, time.monotonic()), self._name
        if self.place is not None:
            name += f", {self.place(done / max(total, 1))}"
        if self._bar is not None and self._task is not None:
            shown = "" if left is None else f"about {_seconds(left)} left"
            self._bar.update(self._task, completed=done, total=total, description=name, left=shown)
        elif time.monotonic() - self._said >= _SAY_EVERY and 0 < done < total:
            self._said = time.monotonic()
            told = "" if left is None else f", about {_seconds(left)} left"
            logger.info("%s: %d %%%s", name, 100 * done // total, told)


class TimeLeft:
    """An estimate from the pace since the first report.

    What comes before that, such as loading and compiling, or what an earlier run has reached, does not count. Nothing
    is estimated before some seconds are over, and a twentieth of the rest is done: the first epochs, passes and files
    are seldom like the others. After a minute a hundredth is enough, as a person wants to know then.

    >>> left = TimeLeft()
    >>> left(600, 1000, 50.0), left(605, 1000, 53.0), left(610, 1000, 60.0), left(700, 1000, 70.0)
    (None, None, None, 60.0)
    """

    def __init__(self) -> None:
        self._first: tuple[int, float] | None = None

    def __call__(self, done: int, total: int, now: float) -> float | None:
        """Seconds left at a time in seconds, or None."""
        if self._first is None:
            self._first = done, now
        begun, start = self._first
        seconds, part = now - start, (done - begun) / max(total - begun, 1)
        if seconds < _LEAST_SECONDS or part < (_LEAST_PART if seconds < 60 else _LEAST_PART / 5):
            return None
        return (now - start) * (total - done) / (done - begun)


@contextlib.contextmanager
def _progress(name: str) -> Iterator[Progress]:
    if not sys.stderr.isatty():
        yield Progress(name)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    percent = TaskProgressColumn(text_format_no_percentage="")
    columns = (TextColumn("{task.description}"), BarColumn(), percent, TimeElapsedColumn())
    with Bar(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True), transient=True) as bar:
        yield Progress(name, bar)


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
