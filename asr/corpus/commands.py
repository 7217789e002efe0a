"""Commands in the place of file names, which Kaldi runs: run here only with the user's permission."""

import hashlib
import re
import subprocess
from pathlib import Path

from ..errors import CorpusError
from ..files import kind_of, replacing

_UNSAFE = re.compile(r"[^\w.-]")  # what file names had better not hold


def output_of(given: str, name: str, folder: Path, suffix: str) -> Path:
    """The file with what a command (`... |`) writes; it runs unless its output is there already.

    It runs in the system's shell, from the current folder and without input, as in Kaldi. The output is kept in
    `folder` under the recording's name and a digest of the command, whole or not at all.

    Raises:
        CorpusError: if the command fails or writes nothing, with its exit status and last words.
    """
    command = given.strip()
    if command.startswith("|") or not command.endswith("|"):
        raise CorpusError(f"is not a command that only writes ({given!r}); need '... |'")
    digest = hashlib.sha256(f"{name}\0{command}".encode()).hexdigest()[:12]
    path = folder / f"{_UNSAFE.sub('_', name)[:80]}-{digest}{suffix}"
    if kind_of(path) == "file":
        return path
    try:
        with replacing(path) as temporary:
            with temporary.open("wb") as stream:
                done = subprocess.run(
                    command.removesuffix("|"),
                    shell=True,  # the user has allowed it
                    stdin=subprocess.DEVNULL,
                    stdout=stream,
                    stderr=subprocess.PIPE,
                    check=False,
                )
            if done.returncode or temporary.stat().st_size == 0:
                words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
                failed = f"failed (exit status {done.returncode})" if done.returncode else "wrote nothing"
                raise CorpusError(": ".join([f"command {given!r} {failed}", *words]))
    except OSError as error:
        raise CorpusError(f"the output of command {given!r} cannot be written: {error}") from None
    return path
