"""Steps of a recipe: objects that are made once, and again only when what they are made from has changed."""

import argparse
import contextlib
import dataclasses
import functools
import hashlib
import inspect
import json
import logging
import os
import shutil
import sys
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from filelock import FileLock, Timeout

from ..errors import AsrError, ConfigError
from ..files import sha256, write_text
from ..files.json_files import read_json
from .keep import declared, fetch, is_plain, keep
from .progress import seconds_in_words, shown
from .sources import code_of

logger = logging.getLogger("asr.recipe")

T = TypeVar("T")

_PROCESSES = ("n_jobs", "gpus")  # arguments that change no step's result: by how many processes it is made, and where


class Kept(Generic[T]):
    """A step of a run, made when it is first needed. As an argument of other steps it is the object that it makes."""

    def __init__(self, run: "Run", name: str, make: Callable[..., T], args: tuple, options: dict[str, Any]) -> None:
        function = make.__func__ if inspect.ismethod(make) and isinstance(make.__self__, type) else make
        if not inspect.isfunction(function) or function.__closure__ or function.__name__ == "<lambda>":
            raise ConfigError(
                f"step {name}: {make!r} is not a plain function of its arguments; write it at the top level of a "
                "module, and pass what it needs as arguments, so that a change of them is noticed"
            )
        self.name, self.folder, self._run, self._make, self._kind = name, run.folder / name, run, make, declared(make)
        if self._kind is None:
            raise ConfigError(f"step {name}: {make.__name__} does not declare what it returns, so it cannot be kept")
        self._arguments = inspect.signature(make).bind_partial(*args, **options).arguments

    @functools.cached_property
    def key(self) -> str:
        """A hash of its arguments and the code that it uses; the step is made, unless it is there already."""
        key = _key(self.name, self._make, self._arguments)
        self._run._finish(self, key)
        return key

    @property
    def value(self) -> T:
        """The object; read once as long as somebody has it."""
        found = self._run._alive.get(self.key)
        if found is None:
            found = fetch(self._kind, self.folder)
            if not is_plain(self._kind) and not isinstance(found, tuple):
                vars(found)["_key_of_step"] = self.key  # by which it counts among the arguments of other steps
                self._run._alive[self.key] = found
        return found

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it took when it was made, children counted."""
        assert self.key  # it is finished
        return self._run.record(self.name)["cpu_seconds"]

    def make(self, **given: Any) -> None:
        """Call the function, and write what it returns into given["folder"]; it is given what else it asks for."""
        own = inspect.signature(self._make).parameters.keys() - self._arguments.keys()
        arguments = {name: _values(value) for name, value in self._arguments.items()}
        made = self._make(**arguments, **{name: value for name, value in given.items() if name in own})
        keep(made, self._kind, given["folder"])


class Run:
    """One run of a recipe in one folder.

    Examples:
        >>> run = Run("out")                                                      # doctest: +SKIP
        >>> data = run.step("features", Data.of, corpus, pipeline)                # doctest: +SKIP
        >>> mono = run.step("mono", train_mono, data, lexicon, passes=40, seed=0) # doctest: +SKIP
    """

    def __init__(self, out_dir: str | os.PathLike, *, n_steps: int | None = None) -> None:
        """Begin a run, or go on with one; `n_steps`, if that is known, is shown with each."""
        self.folder = Path(out_dir)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / ".stages").mkdir(exist_ok=True)
        self._n_steps = n_steps
        self._done: dict[str, str] = {}  # name -> key
        self._alive: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
        details = _LogFile(self.folder / "run.log", encoding="utf-8", delay=True)
        details.setFormatter(logging.Formatter("%(asctime)s %(message)s"))
        logging.getLogger("asr").addHandler(details)

    def step(self, name: str, make: Callable[..., T], *args: Any, **options: Any) -> T:
        """What make(*args, **options) returns, kept in the folder OUT/name: made now unless it is there already.

        It is made anew when an argument or code that it uses (asr.recipe.sources) has changed, or its folder was
        damaged, and appears whole or not at all. Runs may share a folder: what another one makes is waited for.

        Args:
            name: the folder's name. The same step may be asked for again, but no other one of this name.
            make: a function at the top of a module, or a class method, which declares what it returns: plain values and
                dataclasses, or an object that has `save` and `load`. If it asks for them it is given `progress`, to be
                called with (done, total); `folder`, to leave files in; and `checkpoints`, a folder where it finds again
                what it left there when it was interrupted.
            *args: objects that other steps made, which count by their keys; paths, which count with what they hold;
                plain values, arrays, features, corpora, and dataclasses of all these. `n_jobs` and `gpus` may change.
            **options: see `args`.
        """
        return self.kept(name, make, *args, **options).value

    def kept(self, name: str, make: Callable[..., T], *args: Any, **options: Any) -> Kept[T]:
        """The same step, made only when it is needed, as by a step that it is an argument of."""
        return Kept(self, name, make, args, options)

    def record(self, name: str) -> dict[str, Any]:
        """OUT/.stages/NAME.json: the times of a step that was finished in this or an earlier run, its key and hash."""
        try:
            return read_json(self.folder / ".stages" / f"{name}.json")
        except AsrError:
            return {}

    def place(self, name: str) -> str:
        """A step's name, after its number where it is known how many there will be."""
        return name if self._n_steps is None else f"stage {len(self._done) + 1} of {self._n_steps}, {name}"

    def _finish(self, step: Kept, key: str) -> None:
        """Make a step, unless it is there already."""
        if self._done.get(step.name, key) != key:
            raise ConfigError(f"{step.name}: two steps have this name, with other settings; give each its own name")
        if step.name in self._done:
            return
        lock = self._lock(step.name)
        try:
            known = self.record(step.name)
            if known.get("key") == key and step.folder.is_dir() and hash_of(step.folder) == known["output"]:
                logger.info("%s: there already (%s)", self.place(step.name), seconds_in_words(known["wall_seconds"]))
            else:
                self._make(step, key)
        finally:
            lock.release()
        self._done[step.name] = key

    def _make(self, step: Kept, key: str) -> None:
        name = step.name
        partial, checkpoints = self.folder / ".partial" / name, self.folder / ".training" / f"{name}-{key[:16]}"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        logger.info("%s ...", self.place(name))
        wall, cpu = time.perf_counter(), cpu_seconds()
        try:
            with shown(self.place(name)) as progress, naming(step.folder):
                step.make(progress=progress, folder=partial, checkpoints=checkpoints)
            wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
            # Without its record a folder counts as unfinished: drop the old one first, write the new one last.
            file = self.folder / ".stages" / f"{name}.json"
            file.unlink(missing_ok=True)
            shutil.rmtree(step.folder, ignore_errors=True)
            partial.replace(step.folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # and no more: another run may make a step beside it
        times = {"wall_seconds": round(wall, 3), "cpu_seconds": round(cpu, 3)}
        known = {"name": name, "key": key, "output": hash_of(step.folder), **times}
        write_text(file, json.dumps(known | {"finished": time.strftime("%Y-%m-%dT%H:%M:%S")}, indent=1) + "\n")
        shutil.rmtree(checkpoints, ignore_errors=True)
        logger.info("%s: done in %s (%s of processor time)", name, seconds_in_words(wall), seconds_in_words(cpu))

    def _lock(self, name: str) -> FileLock:
        """A step's lock, held as long as this process lives, unless the file system has none."""
        lock = FileLock(self.folder / ".stages" / f"{name}.lock")
        try:
            with contextlib.suppress(Timeout):
                lock.acquire(timeout=0)
            if not lock.is_locked:
                logger.info("%s: another run makes it; waiting for that", name)
                lock.acquire()
        except (OSError, NotImplementedError) as error:
            why = getattr(error, "strerror", None) or error
            logger.warning("%s: no locks here (%s); let no other run work in this folder", lock.lock_file, why)
        return lock


def _values(argument: Any) -> Any:
    """An argument with the objects of the steps in it, in lists, tuples and dictionaries too."""
    if isinstance(argument, Kept):
        return argument.value
    if isinstance(argument, Mapping):
        return {name: _values(inner) for name, inner in argument.items()}
    if isinstance(argument, tuple) and hasattr(argument, "_make"):
        return argument._make(map(_values, argument))  # a named tuple
    return type(argument)(map(_values, argument)) if type(argument) in (list, tuple) else argument


def _key(name: str, function: Callable, arguments: Mapping[str, Any]) -> str:
    """A hash of the arguments, and of the code that is used: the function's, and that of the arguments' classes."""
    digest, classes = hashlib.sha256(name.encode()), dict[type, None]()
    for argument, value in sorted(arguments.items()):
        if argument not in _PROCESSES:
            stand_in = functools.partial(_stand_in, f"step {name}: {argument}", classes)
            digest.update(f"{argument}={json.dumps(value, default=stand_in, sort_keys=True)}\0".encode())
    digest.update(code_of([function, *classes]).encode())
    return digest.hexdigest()


def _stand_in(where: str, classes: dict[type, None], value: Any) -> Any:
    """What an object counts by among the arguments of a step. `classes` gets those of dataclasses."""
    kind = type(value).__name__
    key = value.key if isinstance(value, Kept) else getattr(value, "__dict__", {}).get("_key_of_step")
    if key is not None:
        return {"step": key}
    if isinstance(value, Path):
        if not value.exists():
            raise ConfigError(f"{where}: {value} does not exist")
        return {"path": hash_of(value)}
    if isinstance(value, np.ndarray) and value.dtype != object:
        content = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"array": [value.dtype.str, value.shape, content]}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        classes[type(value)] = None
        return {kind: {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}}
    if kind in ("Corpus", "FeatureTable"):
        return {kind: list(value) if kind == "Corpus" else [value.ids, value.frames, value.offsets]}
    if isinstance(value, Mapping):
        return dict(value)
    raise ConfigError(
        f"{where} holds a {kind}, whose content cannot be hashed; pass the path of a file or folder that holds it, or "
        "options as a dataclass"
    )


def hash_of(path: Path) -> str:
    """The SHA-256 of a file's contents, or of the relative names and contents of all files of a folder."""
    if not path.is_dir():
        return _hash_of_file(path, path.stat().st_mtime_ns)
    files = sorted(p for p in path.rglob("*") if p.is_file())
    content = "".join(f"{file.relative_to(path).as_posix()}\0{sha256(file)}\0" for file in files)
    return hashlib.sha256(content.encode()).hexdigest()


@functools.cache
def _hash_of_file(path: Path, changed: int) -> str:
    return sha256(path)


def cpu_seconds() -> float:
    """Processor time of this process and of all children that have ended, in seconds; for differences."""
    # joblib keeps its idle workers alive, and a living child is not counted: they are told to end first.
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
    """Run a recipe's main function as a program: steps and warnings on stderr, errors without a traceback."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.addFilter(lambda record: record.name == logger.name or record.levelno >= logging.WARNING)
    package_logger = logging.getLogger("asr")
    package_logger.addHandler(handler)
    package_logger.setLevel(logging.INFO)
    try:
        main()
    except AsrError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        if error.errno is None:
            raise
        what = f"error: {error.filename or 'writing'}: {error.strerror}"
        sys.exit(f"{what}; make room, or give --out another folder: the same command goes on where it stopped")
    except KeyboardInterrupt:
        sys.stderr.write("\ninterrupted; the same command goes on with the step that was not finished\n")
        sys.exit(130)
    finally:
        package_logger.removeHandler(handler)


def some_of(known: Sequence[str]) -> Callable[[str], list[str]]:
    """The argparse type of names with commas between them: those of `known` that are given, in their order there."""

    def names(text: str) -> list[str]:
        given = text.split(",")
        if not set(given) <= set(known):
            raise argparse.ArgumentTypeError(f"takes {','.join(known)} or some of them")
        return [name for name in known if name in given]

    return names
