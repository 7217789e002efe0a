"""Compiled kernels: cached where there is a place for it, compiled anew where there is none or the cache is damaged."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import asr
from asr.jit import kernel

PACKAGE = Path(asr.__file__).parent

KERNEL = """
from asr.jit import kernel

@kernel("int64(int64)")
def double(x):
    return 2 * x

assert double(21) == 42
print(sum(double.stats.cache_hits.values()), len(double.stats.cache_path or ""))
"""

DECODE = """
import logging
logging.basicConfig(level=logging.INFO)
import numpy as np
import asr
from asr.decoding import SearchOptions, ViterbiDecoder
from asr.graph.const_fst import Graph
graph = Graph.from_arrays(0, [0, 1, 1], [1, 1, 2], [5, 0, 6], [0.0, 0.5, 0.5], [1, 1, 1], [np.inf, 0.0])
decoder = ViterbiDecoder(graph, np.array([-1, 0, 1]), SearchOptions(acoustic_scale=1.0))
path = decoder.decode(np.array([[0, -3], [-3, 0], [0, -3]], np.float32))
print(asr.__file__)
print(path.words.tolist(), path.score)
"""


def run(code, folder, *, package=PACKAGE, name="program.py", **environment):
    """Run code as a module in the folder, with nothing in the environment that could point to a cache."""
    (folder / name).write_text(code)
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HOME", "XDG_", "NUMBA_", "PYTHON"))}
    result = subprocess.run(
        [sys.executable, "-B", str(folder / name)],
        env={**kept, "PYTHONPATH": str(package.parent), **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result


@pytest.fixture
def blocked(tmp_path):
    """A path below which nobody can create anything, root included: it is a file."""
    path = tmp_path / "blocked"
    path.write_text("")
    return path


def block_caches_beside_sources(folder, blocked):
    """A file where Python and numba would make their cache folder, as good as a folder that cannot be written."""
    for place in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        shutil.copy(blocked, place / "__pycache__")


def test_second_process_takes_the_code_from_the_cache(tmp_path):
    first, second = (run(KERNEL, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache")).stdout.split() for _ in range(2))
    assert list((tmp_path / "cache").rglob("*.nbc"))
    assert (first[0], second[0]) == ("0", "1")


def test_no_writable_place_for_the_cache(tmp_path, blocked):
    block_caches_beside_sources(tmp_path, blocked)
    places = {"XDG_CACHE_HOME": str(blocked / "home"), "NUMBA_CACHE_DIR": str(blocked / "cache")}
    for environment in (places, {**places, "HOME": str(blocked)}, {"XDG_CACHE_HOME": str(blocked)}):
        assert run(KERNEL, tmp_path, **environment).stdout.split()[1] == "0"
    assert not list(tmp_path.rglob("*.nbc"))


def test_decoding_with_a_read_only_package_and_no_home(tmp_path, blocked):
    shutil.copytree(PACKAGE, tmp_path / "asr", ignore=shutil.ignore_patterns("__pycache__", "data"))
    block_caches_beside_sources(tmp_path / "asr", blocked)
    result = run(DECODE, tmp_path, package=tmp_path / "asr", XDG_CACHE_HOME=str(blocked))
    assert result.stdout.splitlines() == [str(tmp_path / "asr" / "__init__.py"), "[5, 6] -1.0"]
    assert "advance: compiled without a cache" in result.stderr


DAMAGE = """
import importlib, os, random
from pathlib import Path
import program

def hits():
    return sum(importlib.reload(program).double.stats.cache_hits.values())  # the program calls it

random.seed(1)
assert hits() == 1
files = sorted(Path(os.environ["NUMBA_CACHE_DIR"]).rglob("*.nb[ic]"))
for file in files:
    whole = file.read_bytes()
    flips = [(i, 1 << random.randrange(8)) for i in random.sample(range(len(whole)), 8)]
    flipped = [whole[:i] + bytes([whole[i] ^ bit]) + whole[i + 1 :] for i, bit in flips]
    for number, content in enumerate([b"", whole[:100], whole[:-1], whole + b"x", *flipped]):
        file.write_bytes(content)
        assert hits() == 0, (file, number)
        assert hits() == 1, "was not mended"
        file.write_bytes(whole)
print(len(files), "files")
"""


def test_a_damaged_cache_is_never_run_and_is_mended(tmp_path):
    (tmp_path / "program.py").write_text(KERNEL)
    result = run(DAMAGE, tmp_path, name="damage.py", NUMBA_CACHE_DIR=str(tmp_path / "cache"))
    assert result.stdout.splitlines()[-1] == "2 files"


def test_an_error_in_the_function_is_not_hidden():
    numba = pytest.importorskip("numba")

    @kernel("int64(int64)")
    def wrong(x):
        return x.no_such_attribute

    with pytest.raises(numba.core.errors.TypingError):
        wrong(1)


def test_a_subkernel_is_plain_python_outside_kernels_and_compiled_inside():
    from asr.jit import subkernel

    @subkernel
    def ratio(x, y):
        return x / y

    @kernel("float64(float64, float64)")
    def twice(x, y):
        return 2 * ratio(x, y)

    assert ratio(1, 4) == 0.25
    assert twice(1.0, 4.0) == 0.5
    assert twice(1.0, 0.0) == float("inf")  # numpy's arithmetic, not an exception
    with pytest.raises(ZeroDivisionError):
        ratio(1, 0)


TOLD = """
import logging
logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
from asr.jit import kernel

@kernel("int64(int64)")
def double(x):
    return 2 * x

@kernel("int64(int64)")
def triple(x):
    return 3 * x

print(double(triple(7)))
"""


def test_the_first_run_says_that_it_compiles(tmp_path):
    """At its beginning, once for all kernels; the next run finds them compiled."""
    for count in (1, 0):
        done = run(TOLD, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache"))
        assert (
            done.stdout == "42\n" and done.stderr.count("asr.jit: machine code is compiled in the first run") == count
        )


UNUSED = """
import numpy as np
from asr.jit import kernel

@kernel("int64(int64)")
def wrong(x):
    return x.no_such_attribute

@kernel("int64(int64)")
def half(x):
    return x // 2

@kernel("int64(int64)")
def quarter(x):
    return half(half(x))

assert not quarter.stats.cache_misses
assert quarter(9) == 2 and half(9) == 4
for bad in (np.zeros(3), "9"):
    try:
        quarter(bad)
    except TypeError:
        continue
    raise AssertionError("called with what it is not for")
print(len(half.overloads), len(quarter.overloads))
"""


def test_only_what_is_called_is_compiled(tmp_path):
    """And only for its own signature, also where a kernel calls another."""
    assert run(UNUSED, tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "cache")).stdout == "1 1\n"
    assert {file.name.split("-")[0] for file in (tmp_path / "cache").rglob("*.nbc")} == {
        "program.half",
        "program.quarter",
    }


AT_ONCE = """
import sys, time
from asr.jit import kernel

@kernel("int64(int64)")
def double(x):
    return 2 * x

sys.stdin.read()  # all of them begin when that ends
assert double(21) == 42
print(sum(double.stats.cache_misses.values()))
"""


def test_of_several_processes_one_compiles(tmp_path):
    (tmp_path / "program.py").write_text(AT_ONCE)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    started = [
        subprocess.Popen(
            [sys.executable, str(tmp_path / "program.py")],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    for process in started:
        process.stdin.close()
    printed = [process.stdout.read().strip() for process in started]
    for process in started:
        process.stdout.close()
    assert [process.wait(60) for process in started] == [0, 0, 0]
    assert sorted(printed) == ["0", "0", "1"]


def test_a_signal_waits_until_code_is_loaded():
    import signal

    from asr.jit import _signals_later

    seen = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with _signals_later():
            signal.raise_signal(signal.SIGTERM)
            assert not seen
        assert seen == [signal.SIGTERM]
        signal.raise_signal(signal.SIGTERM)
        assert len(seen) == 2
    finally:
        signal.signal(signal.SIGTERM, before)
