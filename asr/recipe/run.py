"""Steps of a recipe: objects that are made once, and again only when what they are made from has changed."""

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import inspect
import json
import logging
import os
import shutil
import sys
import time
import typing
import weakref
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Generic, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from ..errors import AsrError, ConfigError
from ..files import sha256, write_text
from ..files.json_files import read_json
from .keep import fetch, is_plain, keep
from .progress import seconds_in_words, shown
from .sources import code_of

logger = logging.getLogger("asr.recipe")

T = TypeVar("T")

_PROCESSES = ("n_jobs", "gpus")  # arguments that change no step's result: by how many processes it is made, and where
_GIVEN = ("progress", "folder", "checkpoints")  # arguments that `Run.step` gives itself


@dataclasses.dataclass(frozen=True)
class StepRecord:
    """What is known of a finished step; kept as OUT/.stages/NAME.json, so that a resumed run still has the times."""

    name: str
    key: str  # hash of the arguments and the code
    output: str  # hash of the folder
    wall_seconds: float
    cpu_seconds: float  # of this process and its children
    finished: str  # local time, ISO 8601


@dataclasses.dataclass(frozen=True, eq=False)
class Kept(Generic[T]):
    """A finished step, whose object is read when it is asked for. As an argument of other steps it is the object."""

    name: str
    folder: Path
    key: str
    kind: Any
    _alive: "weakref.WeakValueDictionary[str, Any]" = dataclasses.field(repr=False)

    @property
    def value(self) -> T:
        """The object; read once as long as somebody has it."""
        found = self._alive.get(self.key)
        if found is None:
            found = fetch(self.kind, self.folder)
            if not is_plain(self.kind) and not isinstance(found, tuple):
                vars(found)["_key_of_step"] = self.key  # by which it counts among the arguments of other steps
                self._alive[self.key] = found
        return found


@dataclasses.dataclass(frozen=True, eq=False)
class Later(Generic[T]):
    """A step that is made when it is first an argument of another one."""

    ask: Callable[[], Kept[T]]

    @functools.cached_property
    def kept(self) -> Kept[T]:
        """The finished step."""
        return self.ask()


class Run:
    """One run of a recipe in one folder.

    Examples:
        >>> run = Run("out")                                                      # doctest: +SKIP
        >>> data = run.step("features", extract_data, corpus, pipeline)           # doctest: +SKIP
        >>> mono = run.step("mono", train_mono, data, lexicon, passes=40, seed=0) # doctest: +SKIP
    """

    def __init__(self, out_dir: str | os.PathLike, *, n_steps: int | None = None) -> None:
        """Begin a run, or go on with one.

        Args:
            out_dir: the run's folder, made if need be. Each step has one folder in it, named as the step.
            n_steps: how many there will be, if that is known; it is shown with each.
        """
        self.folder = Path(out_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._n_steps = n_steps
        self._done: dict[str, Kept] = {}
        self._alive: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        details = _LogFile(self.folder / "run.log", encoding="utf-8", delay=True)
        details.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logging.getLogger("asr").addHandler(details)

    def step(self, name: str, make: Callable[..., T], *args: Any, **options: Any) -> T:
        """What make(*args, **options) returns, kept in the folder OUT/name: made now unless it is there already.

        Args:
            name: the folder's name. The same step may be asked for again.
            make: a function at the top of a module, or functools.partial of one, which declares what it returns: a
                plain value (numbers, texts, dataclasses, and lists, tuples and dictionaries of them), or an object that
                has `save` and `load`. If it has parameters of these names it is given `progress`, to be called with
                (done, total); `folder`, to leave files such as recordings in, beside what it returns; and
                `checkpoints`, a folder in which it finds again what it left there when it was interrupted.
            *args: objects that other steps made, which count by the keys of these; paths, which count with the contents
                of files and folders; plain values, numpy arrays, features, corpora, and dataclasses of all these.
                `n_jobs` and `gpus` may change: results do not depend, but for rounding, on how many processes work
                where.
            **options: see `args`.

        Raises:
            ConfigError: for arguments of another kind, and where two steps of one name differ; what `make` raises goes
                through, and leaves nothing behind.

        A step is made anew when an argument has changed, or code that `make` uses (asr.recipe.sources), or when its
        folder was damaged. Results appear whole or not at all. Several runs may share a folder: a step that another one
        makes is waited for.
        """
        return self.kept(name, make, *args, **options).value

    def kept(self, name: str, make: Callable[..., T], *args: Any, **options: Any) -> Kept[T]:
        """The same step without reading its object, which may never be needed."""
        function, arguments = _called(name, make, args, options)
        arguments = _replaced(arguments, Later, lambda later: later.kept)
        kind = _declared(function)
        if kind is None:
            raise ConfigError(
                f"step {name}: {function.__name__} does not declare what it returns, so it cannot be kept"
            )
        key = _key(name, function, arguments)
        done = self._done.get(name)
        if done is not None:
            if done.key != key:
                raise ConfigError(f"{name}: two steps have this name, with other settings; give each its own name")
            return done
        folder = self.folder / name
        with self._no_other_process(name):
            record = self.record(name)
            if record is not None and record.key == key and folder.is_dir() and hash_of(folder) == record.output:
                logger.info("%s: there already (%s)", self._place(name), seconds_in_words(record.wall_seconds))
            else:
                self._make(name, function, arguments, kind, key)
        self._done[name] = Kept(name, folder, key, kind, self._alive)
        return self._done[name]

    def later(self, name: str, make: Callable[..., T], *args: Any, **options: Any) -> Later[T]:
        """The same step, which is not made before it is the argument of another one."""
        return Later(functools.partial(self.kept, name, make, *args, **options))

    @contextlib.contextmanager
    def last(self, name: str) -> Iterator[None]:
        """Log when work after the steps, such as a report, which is done in every run, begins and ends."""
        logger.info("%s ...", self._place(name))
        begin = time.perf_counter()
        yield
        logger.info("%s: done in %s", name, seconds_in_words(time.perf_counter() - begin))

    def record(self, name: str) -> StepRecord | None:
        """What is known of a step that was finished in this or an earlier run, or None."""
        try:
            return StepRecord(**read_json(self.folder / ".stages" / f"{name}.json"))
        except (AsrError, TypeError):
            return None

    def cpu_seconds(self, *names: str) -> float:
        """Processor time that the named steps took when they were made, children counted."""
        total = 0.0
        for name in names:
            record = self.record(name)
            if record is None:
                raise AsrError(f"{self.folder}: no step {name!r} has been finished here")
            total += record.cpu_seconds
        return total

    def _make(self, name: str, function: Callable, arguments: dict[str, Any], kind: Any, key: str) -> None:
        partial, checkpoints = self.folder / ".partial" / name, self.folder / ".training" / f"{name}-{key[:16]}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        logger.info("%s ...", self._place(name))
        wall, cpu = time.perf_counter(), cpu_seconds()
        try:
            with shown(self._place(name)) as progress, naming(self.folder / name):
                given = {"progress": progress, "folder": partial, "checkpoints": checkpoints}
                own = inspect.signature(function).parameters.keys() - arguments.keys()
                wanted = {n: given[n] for n in _GIVEN if n in own}
                keep(function(**_replaced(arguments, Kept, lambda kept: kept.value), **wanted), kind, partial)
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
            # Without its record a folder counts as unfinished: drop the old one first, write the new one last.
            file = self.folder / ".stages" / f"{name}.json"
            file.unlink(missing_ok=True)
            shutil.rmtree(self.folder / name, ignore_errors=True)
            partial.replace(self.folder / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # and no more: another run may make a step beside it
        finished = time.strftime("%Y-%m-%dT%H:%M:%S")
        record = StepRecord(name, key, hash_of(self.folder / name), round(wall, 3), round(cpu, 3), finished)
        write_text(file, json.dumps(dataclasses.asdict(record), indent=1) + "\n")
        shutil.rmtree(checkpoints, ignore_errors=True)
        logger.info("%s: done in %s (%s of processor time)", name, seconds_in_words(wall), seconds_in_words(cpu))

    def _place(self, name: str) -> str:
        """A step's name, after its number where it is known how many there will be."""
        return name if self._n_steps is None else f"stage {len(self._done) + 1} of {self._n_steps}, {name}"

    @contextlib.contextmanager
    def _no_other_process(self, name: str) -> Iterator[None]:
        """Hold a step's lock, which ends with the process."""
        place = self.folder / ".stages" / f"{name}.lock"
        place.parent.mkdir(exist_ok=True)
        lock = FileLock(place)
        try:
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logger.info("%s: another run makes it; waiting for that", name)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            if isinstance(error, OSError) and not place.parent.is_dir():
                raise
            why = getattr(error, "strerror", None) or error
            logger.warning("%s: no locks here (%s); let no other run work in this folder", place, why)
        try:
            yield
        finally:
            lock.release()


def _called(name: str, make: Any, args: tuple, options: dict[str, Any]) -> tuple[Callable, dict[str, Any]]:
    """The function that a step calls, and its arguments by name."""
    while isinstance(make, functools.partial):
        make, args, options = make.func, (*make.args, *args), {**make.keywords, **options}
    if not inspect.isfunction(make) or make.__closure__ or make.__name__ == "<lambda>":
        raise ConfigError(
            f"step {name}: {make!r} is not a plain function of its arguments; write it at the top level of a module, "
            "and pass what it needs as arguments, so that a change of them is noticed"
        )
    try:
        return make, inspect.signature(make).bind_partial(*args, **options).arguments
    except TypeError as error:
        raise TypeError(f"step {name}: {make.__name__}: {error}") from None


def _declared(function: Callable) -> Any:
    """The type of what a function returns, as it declares it; None if it does not."""
    returned = SimpleNamespace(__annotations__={n: t for n, t in function.__annotations__.items() if n == "return"})
    return typing.get_type_hints(returned, function.__globals__).get("return")


def _replaced(value: Any, kind: type, by: Callable[[Any], Any]) -> Any:
    """The same with all of a kind replaced, in lists, tuples and dictionaries too."""
    if isinstance(value, kind):
        return by(value)
    if isinstance(value, Mapping):
        return {name: _replaced(inner, kind, by) for name, inner in value.items()}
    if hasattr(value, "_make"):  # a named tuple
        return value._make(_replaced(v, kind, by) for v in value)
    return type(value)(_replaced(v, kind, by) for v in value) if type(value) in (list, tuple) else value


def _key(name: str, function: Callable, arguments: Mapping[str, Any]) -> str:
    """A hash of the arguments, and of the code that is used: the function's, and that of the arguments' classes."""
    digest, classes = hashlib.sha256(name.encode()), dict[type, None]()
    for argument, value in sorted(arguments.items()):
        if argument not in _PROCESSES:
            digest.update(f"{argument}={_hashed(value, f'step {name}: {argument}', classes)}\0".encode())
    digest.update(code_of([function, *classes]).encode())
    return digest.hexdigest()


def _hashed(value: Any, where: str, classes: dict[type, None]) -> str:
    """A text that is equal for equal arguments only.

    Args:
        classes: gets those of the dataclasses among them.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return repr(value)
    key = value.key if isinstance(value, Kept) else getattr(value, "__dict__", {}).get("_key_of_step")
    if key is not None:
        return f"step:{key}"
    if isinstance(value, Path):
        if not value.exists():
            raise ConfigError(f"{where}: {value} does not exist")
        return f"path:{hash_of(value)}"
    if isinstance(value, np.ndarray) and value.dtype != object:
        return (
            f"array:{value.dtype.str}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        classes[type(value)] = None
        names = [f.name for f in dataclasses.fields(value)]
        parts = ",".join(f"{n}={_hashed(getattr(value, n), f'{where}.{n}', classes)}" for n in names)
        return f"{type(value).__qualname__}({parts})"
    if isinstance(value, Mapping):
        pairs = [f"{_hashed(k, where, classes)}:{_hashed(v, f'{where}[{k!r}]', classes)}" for k, v in value.items()]
        return "{" + ",".join(sorted(pairs)) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(_hashed(v, f"{where}[{i}]", classes) for i, v in enumerate(value)) + "]"
    if type(value).__name__ == "Corpus":
        return f"corpus:{_hashed(list(value), where, classes)}"
    if type(value).__name__ == "FeatureTable":
        return f"table:{_hashed([value.ids, value.frames, value.offsets], where, classes)}"
    raise ConfigError(
        f"{where} is of type {type(value).__name__}, whose content cannot be hashed; pass the path of a file or folder "
        "that holds it, or options as a dataclass"
    )


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's contents, or of the relative names and contents of all files of a folder."""
    if not path.is_dir():
        status = path.stat()
        return _hash_of_file(path, status.st_mtime_ns, status.st_size)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\0".encode())
    return digest.hexdigest()


@functools.cache
def _hash_of_file(path: Path, changed: int, size: int) -> str:
    return sha256(path)


def cpu_seconds() -> float:
    """Processor time of this process and of all children that have ended, in seconds; for differences.

    joblib keeps its idle workers alive, and a living child is not counted: they are told to end first.
    """
    loky = sys.modules.get("joblib.externals.loky.reusable_executor")
    if loky is not None and getattr(loky, "_executor", None) is not None:
        loky._executor.shutdown(wait=True)
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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


def run_recipe(main: Callable[[], None]) -> None:
    """Run a recipe's main function as a program: steps and warnings on stderr, errors without a traceback.

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
        sys.stderr.write("\ninterrupted; the same command goes on with the step that was not finished\n")
        sys.exit(130)
    finally:
        package_logger.removeHandler(handler)
