"""What processes have: memory, in a container too; BLAS threads; and what is said when the system kills one."""

import multiprocessing
import os
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest
import soundfile
from threadpoolctl import threadpool_info, threadpool_limits

from asr import processes
from asr.corpus import Corpus
from asr.corpus.extract import extract
from asr.errors import AsrError
from asr.features.pipeline import FeaturePipeline
from asr.gmm.passes import Workers


def killed(*arguments, **options):
    if multiprocessing.current_process().name == "MainProcess":
        raise AssertionError("this is no worker")
    os.kill(os.getpid(), signal.SIGKILL)


def full(part):
    raise MemoryError


@pytest.mark.parametrize(
    ("what", "message"), [(killed, "ended by the system, most likely as memory ran out"), (full, "not enough memory")]
)
def test_workers_of_training(what, message):
    with (
        pytest.raises(AsrError, match=f"{message}.*there were 2: give fewer") as error,
        Workers(["a", "b"], 2) as workers,
    ):
        workers.each(what, [(), ()])
    assert len(str(error.value).splitlines()) == 1


def test_workers_of_features(tmp_path, monkeypatch):
    samples = 0.1 * np.random.default_rng(0).standard_normal(1600)
    for i in range(40):
        soundfile.write(tmp_path / f"u{i}.wav", samples, 8000)
    monkeypatch.setattr("asr.corpus.extract._extract_elsewhere", killed)
    with pytest.raises(AsrError, match="there were 2: give fewer"):
        extract(Corpus.from_folder(tmp_path, need_text=False), FeaturePipeline(8000, ({"kind": "mfcc"},)), n_jobs=2)


def blas_threads(part=None):
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def blas_threads_of_a_part(part):
    np.ones((2, 2)) @ np.ones((2, 2))
    return blas_threads()


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_training_takes_one_blas_thread_and_gives_the_others_back(n_jobs):
    """Both in this process and in workers, whatever a user's settings are."""
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with Workers(["a", "b"], n_jobs) as workers:
            assert blas_threads() == {1}
            assert workers.each(blas_threads_of_a_part, [(), ()]) == [{1}, {1}]
        assert blas_threads() == before


def test_features_are_computed_by_one_blas_thread(tmp_path, monkeypatch):
    seen = []
    soundfile.write(tmp_path / "u.wav", 0.1 * np.random.default_rng(0).standard_normal(1600), 8000)
    monkeypatch.setattr("asr.corpus.extract._extract_batch", lambda *_: seen.append(blas_threads()) or [])
    with threadpool_limits(2, user_api="blas"):
        extract(Corpus.from_folder(tmp_path, need_text=False), FeaturePipeline(8000, ({"kind": "mfcc"},)))
    assert seen == [{1}]


@pytest.fixture
def group(tmp_path, monkeypatch):
    """A function that puts this process into a control group: version, its path, files by their places."""

    def put(line, **files):
        (tmp_path / "own").write_text(f"1:name=systemd:/elsewhere\n{line}\n")
        for place, text in files.items():
            path = tmp_path / "cgroup" / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(processes, "_OWN_GROUPS", tmp_path / "own")
        monkeypatch.setattr(processes, "_GROUPS", tmp_path / "cgroup")

    return put


MB = 1 << 20


def test_memory_is_the_machines_where_nothing_limits_it(group):
    group("0::/", **{"memory.max": "max\n", "memory.current": f"{9 * MB}\n"})
    assert processes.total_memory() == psutil.virtual_memory().total
    assert processes.free_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_a_container_has_what_its_limit_leaves(group):
    """What it uses is taken off, but for files that the system drops when memory is needed."""
    stat = f"anon {3 * MB}\ninactive_file {2 * MB}\nactive_file {MB}\n"
    group("0::/", **{"memory.max": f"{50 * MB}\n", "memory.current": f"{30 * MB}\n", "memory.stat": stat})
    assert (processes.total_memory(), processes.free_memory()) == (50 * MB, 22 * MB)


def test_of_groups_within_groups_the_tightest_counts(group):
    """As in a job of a cluster: the limit is that of a group above the process's own."""
    group(
        "4:memory:/jobs/7/step", **{
            "memory/jobs/7/step/memory.limit_in_bytes": "9223372036854771712\n",
            "memory/jobs/7/memory.limit_in_bytes": f"{40 * MB}\n",
            "memory/jobs/7/memory.usage_in_bytes": f"{30 * MB}\n",
            "memory/jobs/7/memory.stat": f"cache 5\ntotal_inactive_file {MB}\n",
            "memory/memory.limit_in_bytes": f"{90 * MB}\n",
        }
    )  # fmt: skip
    assert (processes.total_memory(), processes.free_memory()) == (40 * MB, 11 * MB)


def test_more_used_than_allowed_is_nothing_free(group):
    group("0::/a", **{"a/memory.max": f"{MB}\n", "a/memory.current": f"{2 * MB}\n"})
    assert processes.free_memory() == 0


def test_without_control_groups_the_machine_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "_OWN_GROUPS", tmp_path / "none")
    assert processes.total_memory() == psutil.virtual_memory().total


def test_a_process_that_has_one_thread():
    code = (
        "import threading, time; from asr.processes import has_one_thread as has\n"
        "print(has()); threading.Thread(target=time.sleep, args=(0.3,)).start(); print(has(), has(within=5.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "True\nFalse True\n" if sys.platform.startswith("linux") else "False\nFalse False\n"
    assert done.stdout == expected
