"""Worker processes that end before their work does: said in one line, with what to do."""

import contextlib
from collections.abc import Iterator

from .errors import AsrError


@contextlib.contextmanager
def explained_workers(n_jobs: int) -> Iterator[None]:
    """Work by joblib's processes; where the system ends one of them, or memory runs out, AsrError says so.

    n_jobs: how many there are, -1 for one on each core; for the message.
    """
    from joblib.externals.loky.process_executor import BrokenProcessPool  # of which TerminatedWorkerError is a kind

    several = "one on each core" if n_jobs < 0 else str(n_jobs)
    advice = f"there were {several}: give fewer (--jobs 1, or n_jobs=1), or close other programs"
    try:
        yield
    except BrokenProcessPool:
        raise AsrError(f"a worker process was ended by the system, most likely as memory ran out; {advice}") from None
    except MemoryError:
        raise AsrError(f"not enough memory for the worker processes; {advice}") from None
