"""Files that are written whole or not at all, their hashes, and text files' lines whatever system wrote them."""

import codecs
import contextlib
import errno
import functools
import hashlib
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

MOST_BYTES = 1 << 30  # of a file that is read at once, where a reader says nothing else
_BLOCK = 1 << 20
_WRITING, _PREVIOUS = ".writing-", ".previous"
_LEFT_OVER = re.compile(r"\..*\.writing-[a-z0-9_]{8}", re.DOTALL)  # as tempfile makes them


@contextlib.contextmanager
def replacing(path: str | os.PathLike, *, mark: str = "") -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` when the block ends well, removed otherwise.

    Works for files and for folders (make the folder inside the block). The parent is created. Where `path` is a link,
    what it leads to is replaced. At each moment the old or the new one is there, whole, even if the process is killed;
    what killed processes left is removed when another one writes into the folder. A pipe or device, as /dev/null, is
    never replaced: it is sent what was written when the block ends.

    Args:
        mark: the file that tells folders which may be replaced from others: a folder that holds files but not this one
            stays as it is.

    Raises:
        OSError: where nothing can be written there.
    """
    if is_stream(path):
        with tempfile.TemporaryDirectory() as folder:
            yield (temporary := Path(folder) / Path(path).name)
            _send(temporary, Path(path))
        return
    target = _place(path)
    check_replaceable(target, mark)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_overs(target.parent)
    with _holder(target) as holder:
        yield (temporary := holder / target.name)
        if not (target.is_dir() and temporary.is_dir()):
            temporary.replace(target)
        elif not _exchange(temporary, target):
            # Killed between these two, the next process that writes here puts the new folder in its place.
            target.replace(holder / _PREVIOUS)
            temporary.replace(target)


def check_replaceable(path: str | os.PathLike, mark: str) -> None:
    """Raise OSError where `path` is a folder with files, but not the one that marks what may be replaced."""
    folder = Path(path)
    if mark and kind_of(folder) == "folder" and kind_of(folder / mark) != "file" and any(folder.iterdir()):
        raise OSError(errno.ENOTEMPTY, f"it is a folder of other files, without {mark}, which would be lost")


def is_stream(path: str | os.PathLike) -> bool:
    """Whether a path is written to and never replaced: a pipe, a device, or a file that the system shows as one."""
    parts = Path(path).absolute().parts
    is_shown = parts[1:2] == ("proc",) or parts[1:3] in (("dev", "fd"), ("dev", "stdout"), ("dev", "stderr"))
    return is_shown or kind_of(path) == "other"


def _send(written: Path, stream: Path) -> None:
    """Write a file's bytes to a pipe or device, which is no disk."""
    if written.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "it is a pipe or device, and a folder is to be written")
    if kind_of(stream) == "other" and stat.S_ISBLK(stream.stat().st_mode):
        raise OSError(errno.EPERM, "it is a disk; nothing is written to it")
    with written.open("rb") as source, stream.open("ab") as sink:
        shutil.copyfileobj(source, sink)


def _place(path: str | os.PathLike) -> Path:
    """Where a path leads in the end. Raises OSError where that can be no file."""
    try:
        target = Path(os.path.realpath(path))
    except ValueError as error:  # a NUL byte
        raise OSError(errno.EINVAL, str(error)) from None
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return target


@contextlib.contextmanager
def _holder(target: Path) -> Iterator[Path]:
    """A new folder beside a target to write in, removed at the end, and locked as long as the process lives."""
    while True:
        # Cut, as a name may have 255 bytes, and a letter four of them.
        holder = Path(tempfile.mkdtemp(prefix=f".{target.name[:50]}{_WRITING}", dir=target.parent))
        lock = _lock(holder, wait=True)
        if holder.exists():  # else another process took it for a left-over, between the two lines above
            break
        _unlock(lock)
    try:
        yield holder
    finally:
        shutil.rmtree(holder, ignore_errors=True)
        _unlock(lock)


@functools.lru_cache(maxsize=1024)  # looking through a folder of 100,000 files each time would take hours
def _remove_left_overs(folder: Path) -> None:
    """Remove what killed processes left half written in a folder; once in each process."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _LEFT_OVER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                lock = _lock(Path(entry), wait=False)
                if lock is not None:
                    _clear(Path(entry))
                    _unlock(lock)


def _clear(holder: Path) -> None:
    """Remove a dead process's folder; a new one whose older one it had moved away is whole and gets its place."""
    if (holder / _PREVIOUS).exists():
        for new in holder.iterdir():
            if new.name != _PREVIOUS and not (holder.parent / new.name).exists():
                new.replace(holder.parent / new.name)
    shutil.rmtree(holder, ignore_errors=True)


def _lock(folder: Path, *, wait: bool) -> int | None:
    """The descriptor of a folder that this process locks; None where another does, or the system has no such locks."""
    if fcntl is None:
        return None
    descriptor = None
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        _unlock(descriptor)
        return None
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two paths at one go; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0


def give_usual_mode(path: Path) -> None:
    """Let a file have the mode of any new one: some libraries write files that nobody else may read."""
    probe = path.with_name(f"{path.name}.mode")
    probe.touch()
    path.chmod(stat.S_IMODE(probe.stat().st_mode))
    probe.unlink()


def kind_of(path: str | os.PathLike) -> Literal["file", "folder", "other", "missing", "unreachable"]:
    """What a path leads to; "other" is a pipe or device, "unreachable" a name that may not or cannot be looked up.

    Unlike Path.is_file and its like, it never raises: not without permission, nor for a name that is too long.
    """
    try:
        mode = Path(path).stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (OSError, ValueError):
        return "unreachable"
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "other"


def dead_link(path: str | os.PathLike) -> str:
    """What to say of a link to nothing, with where it points; an empty string for all else. Never raises."""
    try:
        target = os.readlink(os.fspath(path))  # noqa: PTH115
    except (OSError, ValueError):
        return ""
    return "" if kind_of(path) in ("file", "folder", "other") else f"the link leads to no file ({readable(target)})"


def readable(name: str) -> str:
    """A name of the file system as text, where its bytes are UTF-8 although the system's locale is another (LC_ALL=C).

    A name that is none in any way stays as it is, with Python's stand-ins (surrogates) for its bytes.
    """
    if name.isascii():
        return name
    try:
        return os.fsencode(name).decode("utf-8")
    except UnicodeError:
        return name


def as_system(name: str) -> str:
    """The inverse: a name from a list as the file system's functions take it, whatever the system's locale."""
    try:
        return os.fsdecode(name.encode("utf-8"))
    except UnicodeError:
        return name


def write_text(path: str | os.PathLike, text: str) -> None:
    """Write UTF-8 text with Unix line ends, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def sha256(path: str | os.PathLike) -> str:
    """The SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def read_bytes(path: str | os.PathLike, *, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file that is to be read at once.

    Raises:
        OSError: also where there are more than `most`.

    Path.read_bytes would take whatever memory a sparse file or a device asks for.
    """
    blocks: list[bytes] = []
    left = most
    with Path(path).open("rb") as stream:
        if os.fstat(stream.fileno()).st_size > most:
            raise _too_large(most)
        while block := stream.read(_BLOCK):
            blocks.append(block)
            left -= len(block)
            if left < 0:
                raise _too_large(most)
    return b"".join(blocks)


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it holds more than {size_in_words(most)}, the limit for such a file")


def size_in_words(n_bytes: int) -> str:
    """Bytes as a person says them.

    Examples:
        >>> size_in_words(1 << 30), size_in_words(1536)
        ('1 GiB', '1.5 KiB')
    """
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if n_bytes >= unit:
            return f"{n_bytes / unit:.4g} {name}"
    return f"{n_bytes} bytes"


def numbered_lines(path: str | os.PathLike, *, most: int = MOST_BYTES) -> Iterator[tuple[int, str | None]]:
    """Line numbers from 1 and lines of a text file, without line ends; None stands for a line that is not Unicode.

    The file is UTF-8, or UTF-16 with a byte-order mark. Byte-order marks are dropped at the start of every line, as
    files that begin with one may have been joined. Lines end at newlines, with or without a carriage return before
    them, or in a file without newlines at carriage returns (old Macs); other separators stay inside.

    Args:
        most: bytes that the file may have; a sparse file or a device can hold more than any memory.

    Raises:
        OSError: also for a file that has more.
    """
    yield from decoded_lines(read_bytes(path, most=most))


def decoded_lines(raw: bytes) -> Iterator[tuple[int, str | None]]:
    """The numbered lines of a text file's bytes, see `numbered_lines`.

    Examples:
        >>> list(decoded_lines(b"one\\r\\ntwo"))
        [(1, 'one'), (2, 'two')]
    """
    raw = as_utf8(raw)
    lines = raw.split(b"\n" if b"\n" in raw else b"\r")
    if not lines[-1]:
        lines.pop()
    for number, line in enumerate(lines, 1):
        try:
            yield number, line.removesuffix(b"\r").decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError:
            yield number, None


def as_utf8(raw: bytes) -> bytes:
    """The bytes of a text file without byte-order mark; UTF-16, which has one, becomes UTF-8."""
    for mark, order in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if raw.startswith(mark):
            # Half a character becomes a surrogate, which readers of UTF-8 refuse: only its own line is lost.
            text = raw[2 : len(raw) // 2 * 2].decode(order, "surrogatepass") + "\udcff" * (len(raw) % 2)
            return text.encode("utf-8", "surrogatepass").removeprefix(codecs.BOM_UTF8)
    return raw.removeprefix(codecs.BOM_UTF8)
