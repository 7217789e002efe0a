"""Tasks that other processes do in tests of asr.model.workers."""

import json
import multiprocessing
import os
from pathlib import Path

from asr.errors import ModelError


def doubled(model, number: int) -> int:
    assert model.sample_rate
    return 2 * number


def ends_once(model, mark: Path, number: int) -> int:
    """The process ends at the first time."""
    if not mark.exists():
        mark.touch()
        os._exit(1)
    return 2 * number


def ends(model) -> None:
    os._exit(1)


def raises(model, text: str) -> None:
    raise ModelError(text)


def name_of_process(model, number: int) -> str:
    return f"{multiprocessing.current_process().name} {os.getpid()}"


_held = []


def holds(model, n_bytes: int) -> int:
    """Memory is taken that is not given back; the process's id."""
    _held.append(b"1" * n_bytes)
    return os.getpid()


def fork_and_tell(folder: str) -> None:
    """Whatever can befall the processes, where they are forks; called in a process that has one thread."""
    from joblib.externals.loky import process_executor

    from asr.model.model import load
    from asr.model.workers import Workers

    process_executor._MAX_MEMORY_LEAK_SIZE, process_executor._MEMORY_LEAK_CHECK_DELAY = 1, 0.0
    model = load("digits")
    told = {}
    bad = [(doubled, (i,)) for i in range(40)]
    bad[3], bad[25] = ((ends_once, (Path(folder) / f"{i}", i)) for i in (3, 25))
    bad[7], bad[9] = (ends, ()), (raises, ("nine",))
    each = {
        "names": [(name_of_process, (i,)) for i in range(9)],
        "held": [(holds, (1_000_000,)) for _ in range(9)],
        "bad": bad,
    }
    for name, tasks in each.items():
        found = []
        with Workers(model, 2 if name == "held" else 3) as workers:
            workers._start()
            workers._first.result()
            workers._begun = 0.0
            for _, pending in workers.each(enumerate(tasks)):
                try:
                    found.append(pending.get())
                except ModelError as error:
                    found.append(str(error))
        told[name] = found
    print(json.dumps(told))
