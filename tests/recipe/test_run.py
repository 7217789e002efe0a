"""Steps: objects that are made once, kept whole or not at all, and made anew when something changed."""

import errno
import io
import logging
import multiprocessing
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from asr.corpus import Corpus, Utterance
from asr.errors import AsrError, ConfigError
from asr.features.table import FeatureTable
from asr.lang.lexicon import Lexicon
from asr.lm import NgramModel, train
from asr.recipe.run import Run, cpu_seconds, run_recipe
from asr.train.data import Data

CALLS = []


@dataclass(frozen=True)
class Options:
    factor: int = 2
    names: tuple[str, ...] = ("a",)


def number_of(number) -> int:
    CALLS.append("number")
    return number


def times(value: int, options: Options) -> int:
    CALLS.append("times")
    if value * options.factor == 26:
        raise RuntimeError("unlucky")
    return value * options.factor


def two_steps(out, number=3, options=None):
    run = Run(out)
    CALLS.clear()
    first = run.kept("number", number_of, number)
    return run.step("times", times, first, options or Options())


def test_second_run_does_nothing(tmp_path):
    assert two_steps(tmp_path) == 6 and CALLS == ["number", "times"]
    assert two_steps(tmp_path) == 6 and CALLS == []


def test_what_depends_on_a_change_runs_again(tmp_path):
    two_steps(tmp_path)
    assert two_steps(tmp_path, number=4) == 8 and CALLS == ["number", "times"]
    assert two_steps(tmp_path, number=4, options=Options(factor=3)) == 12 and CALLS == ["times"]
    assert two_steps(tmp_path, number=4, options=Options(factor=3, names=("b",))) == 12 and CALLS == ["times"]


def in_processes(number: int, n_jobs: int) -> int:
    CALLS.append(n_jobs)
    return number


def test_another_number_of_processes_runs_nothing_again(tmp_path):
    CALLS.clear()
    for n_jobs, number in ((1, 3), (2, 3), (-1, 3), (2, 4)):
        assert Run(tmp_path).step("number", in_processes, number, n_jobs=n_jobs) == number
    assert CALLS == [1, 2]


def test_an_argument_by_its_place_is_the_same_as_by_its_name(tmp_path):
    CALLS.clear()
    Run(tmp_path).step("number", number_of, 1)
    Run(tmp_path).step("number", number_of, number=1)
    assert CALLS == ["number"]


class Place(NamedTuple):
    name: str
    x: float


@dataclass(frozen=True)
class Table:
    rows: list[tuple[int, float]]
    by_name: dict[str, Place]
    note: str = ""


def make_table() -> Table:
    return Table([(1, 0.5), (2, 1.0)], {"a": Place("a", 1.0)})


def make_data() -> Data:
    return Data(FeatureTable.from_dict({"u": np.ones((2, 3), np.float32)}), {"u": "s"}, {"u": "one"})


def make_language() -> tuple[NgramModel, Lexicon]:
    return train(["a b", "b"], 2), Lexicon.load(Path(__file__).parents[2] / "lang" / "yesno" / "lexicon.tsv")


def make_sound(folder: Path) -> Corpus:
    (folder / "deep").mkdir()
    (folder / "deep" / "u.wav").write_bytes(b"sound")
    return Corpus([Utterance("u", "s", folder / "deep" / "u.wav", "one")])


def test_objects_come_back_as_they_were(tmp_path):
    for _ in range(2):  # made, then read
        run = Run(tmp_path)
        assert run.step("table", make_table) == make_table()
        data = run.step("data", make_data)
        assert list(data.raw) == ["u"] and data.transcripts == {"u": "one"}
        ngram, lexicon = run.step("language", make_language)
        assert ngram.order == 2 and lexicon == make_language()[1]
        (utterance,) = run.step("sound", make_sound)
        assert utterance.audio == tmp_path / "sound" / "deep" / "u.wav" and utterance.audio.read_bytes() == b"sound"
        assert (utterance.speaker, utterance.text) == ("s", "one")


def speakers_of(data: Data, also: dict[str, Data]) -> list[str]:
    CALLS.append("speakers")
    return sorted({data.speakers[u] for u in data.raw} | set(also))


def test_a_kept_object_counts_by_the_key_of_its_step(tmp_path, monkeypatch):
    CALLS.clear()
    for _ in range(2):
        run = Run(tmp_path)
        data = run.step("data", make_data)
        assert run.step("speakers", speakers_of, data, {"x": run.kept("data", make_data)}) == ["s", "x"]
        assert run.step("some", speakers_of, data.select(["u"]), {}) == ["s"]  # by its content
        run.kept("never", fail)
    assert CALLS == ["speakers", "speakers"] and not (tmp_path / "never").exists()


def fail() -> int:
    raise AssertionError


def test_failed_step_leaves_nothing_and_the_run_resumes_there(tmp_path):
    with pytest.raises(RuntimeError, match="unlucky"):
        two_steps(tmp_path, number=13)
    assert not (tmp_path / "times").exists() and not list((tmp_path / ".partial").iterdir())
    assert two_steps(tmp_path, number=13, options=Options(factor=3)) == 39
    assert CALLS == ["times"]


def slow(log: str, calls: str, folder: Path) -> int:
    """Ends when another run waits for it."""
    with Path(calls).open("a") as file:
        file.write("slow\n")
    (folder / "first.txt").write_text("1")
    deadline = time.monotonic() + 30
    while "waiting for that" not in Path(log).read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "second.txt").write_text("2")
    return 3


def test_runs_share_a_folder(tmp_path):
    """A step of one run is not touched when one of another ends; what one makes, the other waits for and takes."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no processes that begin where this one is")
    out, calls = tmp_path / "out", str(tmp_path / "calls")

    def make_slow(quick_first):
        logging.getLogger("asr").setLevel(logging.INFO)
        run = Run(out)
        if quick_first:
            run.step("quick", number_of, 1)
        assert run.step("slow", slow, str(out / "run.log"), calls) == 3
        assert sorted(p.name for p in (out / "slow").glob("*.txt")) == ["first.txt", "second.txt"]

    context = multiprocessing.get_context("fork")
    first, second = (context.Process(target=make_slow, args=(quick_first,)) for quick_first in (False, True))
    try:
        first.start()
        while not Path(calls).exists():
            assert first.is_alive()
            time.sleep(0.01)
        second.start()
        for process in (first, second):
            process.join(60)
            assert process.exitcode == 0
    finally:
        for process in (first, second):
            if process.is_alive():
                process.kill()
    assert Path(calls).read_text() == "slow\n"
    assert "slow: another run makes it; waiting for that" in (out / "run.log").read_text()


@pytest.mark.parametrize("error", [OSError(errno.ENOLCK, "No locks available"), NotImplementedError("none here")])
def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog, error):
    def none_here(*arguments, **options):
        raise error

    monkeypatch.setattr("asr.recipe.run.FileLock.acquire", none_here)
    assert two_steps(tmp_path) == 6
    assert "let no other run work in this folder" in caplog.text and "no locks here (" in caplog.text


def test_failure_keeps_the_former_result_of_other_arguments(tmp_path):
    two_steps(tmp_path, number=3)
    with pytest.raises(RuntimeError):
        two_steps(tmp_path, number=13)
    assert (tmp_path / "times" / "value.json").read_text().strip() == "6"
    assert two_steps(tmp_path, number=3) == 6 and CALLS == ["number"]


def test_damaged_or_deleted_output_is_made_again(tmp_path):
    two_steps(tmp_path)
    (tmp_path / "times" / "value.json").write_text("666")
    assert two_steps(tmp_path) == 6 and CALLS == ["times"]
    (tmp_path / ".stages" / "times.json").write_text("{")
    assert two_steps(tmp_path) == 6 and CALLS == ["times"]


def size_of(source: Path) -> int:
    return sum(len(p.read_text()) for p in source.iterdir())


def test_paths_count_with_their_contents(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for text in ("5", "five"):
        (source / "number.txt").write_text(text)
        assert Run(tmp_path / "out").step("size", size_of, source) == len(text)


@pytest.mark.parametrize("value", [object(), np.array([object()]), {"a": {1, 2}}, Path("/nonexistent/corpus")])
def test_arguments_that_cannot_be_hashed_are_named(tmp_path, value):
    with pytest.raises(ConfigError, match="step number: number"):
        Run(tmp_path).step("number", number_of, value)


def type_of(number) -> str:
    CALLS.append("number")
    return type(number).__name__


def test_arguments_of_different_kinds_differ(tmp_path):
    for value in (1, 1.0, "1", None, True, [1], np.ones(1), np.ones(1, np.float32), np.ones((1, 1)), {"a": 1}):
        CALLS.clear()
        Run(tmp_path).step("number", type_of, value)
        assert CALLS == ["number"], value


def undeclared(number):
    return number


def no_way_to_keep() -> Callable:
    return print


def test_what_would_not_be_noticed_is_refused(tmp_path):
    hidden = 3
    with pytest.raises(ConfigError, match="pass what it needs as arguments"):
        Run(tmp_path).step("number", lambda: number_of(hidden))
    with pytest.raises(ConfigError, match="undeclared does not declare what it returns"):
        Run(tmp_path).step("number", undeclared, 1)
    with pytest.raises(ConfigError, match="Callable cannot be kept"):
        Run(tmp_path).step("number", no_way_to_keep)
    run = Run(tmp_path)
    assert run.step("number", number_of, 1) == run.step("number", number_of, 1)
    with pytest.raises(ConfigError, match="number: two steps have this name, with other settings"):
        run.step("number", number_of, 2)


def interrupted(checkpoints: Path) -> int:
    if not (checkpoints / "half").exists():
        checkpoints.mkdir(parents=True)
        (checkpoints / "half").touch()
        raise KeyboardInterrupt
    return 1


def test_a_step_finds_again_what_it_has_reached(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        Run(tmp_path).step("long", interrupted)
    assert Run(tmp_path).step("long", interrupted) == 1
    assert not list((tmp_path / ".training").iterdir())


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def burn_in_workers() -> int:
    import joblib

    return len(joblib.Parallel(n_jobs=2)(joblib.delayed(burn)(0.3) for _ in range(2)))


def test_processor_time_counts_workers_and_is_remembered(tmp_path):
    run = Run(tmp_path)
    run.step("burn", burn_in_workers)
    seconds = run.record("burn")["cpu_seconds"]
    assert 0.6 <= seconds < 20
    assert Run(tmp_path).kept("burn", burn_in_workers).cpu_seconds == seconds
    assert run.record("other") == {}


def test_cpu_seconds_can_be_called_between_parallel_work():
    import joblib

    before = cpu_seconds()
    joblib.Parallel(n_jobs=2)(joblib.delayed(burn)(0.1) for _ in range(2))
    middle = cpu_seconds()
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]
    assert middle - before >= 0.2


def count_up(progress) -> int:
    for i in range(3):
        progress(i + 1, 3)
    return 3


def test_progress_is_passed_and_steps_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    Run(tmp_path).step("count", count_up)
    Run(tmp_path).step("count", count_up)
    text = caplog.text
    assert "count ..." in text and "count: done in" in text and "count: there already" in text


def test_the_steps_of_a_run_of_known_length_are_numbered(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    run = Run(tmp_path, n_steps=2)
    run.step("number", number_of, 1)
    run.step("count", count_up)
    Run(tmp_path, n_steps=2).step("number", number_of, 1)
    assert "stage 1 of 2, number ..." in caplog.text and "stage 2 of 2, count ..." in caplog.text
    assert "stage 1 of 2, number: there already" in caplog.text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def count_slowly(progress) -> int:
    progress.place = lambda part: f"epoch {int(3 * part) + 1} of 3"
    for done in (0, 100, 290):
        progress(done, 300)
        time.sleep(0.2)  # the bar is drawn ten times a second
    return 3


def test_a_terminal_shows_the_step_and_where_it_is(tmp_path, monkeypatch):
    """Nothing is shown as `0/?` before the first report, nor units that nobody knows."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "100")
    Run(tmp_path, n_steps=8).step("sat", count_slowly)
    shown = screen.getvalue()
    assert "stage 1 of 8, sat, epoch 3 of 3" in shown and " 33%" in shown.replace("\xa0", " ")
    assert "?" not in shown.replace("\x1b[?25", "") and "300" not in shown


def test_without_a_terminal_lines_tell_the_part_and_the_time_left(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    for name in ("_SAY_EVERY", "_LEAST_SECONDS"):
        monkeypatch.setattr(f"asr.recipe.progress.{name}", 0.0)
    Run(tmp_path).step("ctc", count_slowly)
    assert "ctc, epoch 2 of 3: 33 %\n" in caplog.text and "ctc, epoch 3 of 3: 96 %, about 1.0 s left" in caplog.text


def test_before_there_is_a_pace_the_part_alone_is_told(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    monkeypatch.setattr("asr.recipe.progress._SAY_EVERY", 0.0)
    run = Run(tmp_path, n_steps=2)
    run.step("ctc", count_slowly)
    assert "stage 1 of 2, ctc, epoch 2 of 3: 33 %\n" in caplog.text and "left" not in caplog.text


def count_from_the_middle(progress) -> int:
    for done in (900, 901, 902):
        progress(done, 1000)
        time.sleep(0.1)
    return 3


def test_the_time_left_is_that_of_the_pace_of_this_run(tmp_path, monkeypatch, caplog):
    """Nine tenths were done by an earlier run."""
    caplog.set_level(logging.INFO, logger="asr")
    for name in ("_SAY_EVERY", "_LEAST_SECONDS"):
        monkeypatch.setattr(f"asr.recipe.progress.{name}", 0.0)
    Run(tmp_path).step("ctc", count_from_the_middle)
    left = [float(s) for s in re.findall(r"ctc: 90 %, about ([\d.]+) s left", caplog.text)]
    assert len(left) == 2 and all(8 < s < 60 for s in left)  # a second, if the earlier run's counted


def no_room() -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_and_a_place_that_cannot_be_written_are_one_line(tmp_path):
    with pytest.raises(SystemExit, match=f"error: {tmp_path}/full: No space left on device; make room"):
        run_recipe(lambda: Run(tmp_path).step("full", no_room))
    (tmp_path / "file").touch()
    with pytest.raises(SystemExit, match=f"error: {tmp_path}/file/out: Not a directory"):
        run_recipe(lambda: Run(tmp_path / "file" / "out"))


@pytest.fixture
def log_handlers():
    """What a run adds to the toolkit's log is taken away at the end."""
    log = logging.getLogger("asr")
    before = list(log.handlers)
    yield
    log.handlers[:] = before


def test_a_log_that_cannot_be_written_ends_the_run(tmp_path, capfd, log_handlers):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here")
    (tmp_path / "run.log").symlink_to(full)
    with pytest.raises(SystemExit, match=r"run\.log: No space left on device"):
        run_recipe(lambda: Run(tmp_path).step("number", number_of, 1))
    assert "Traceback" not in capfd.readouterr().err


def fail_kindly():
    raise AsrError("corpus.tsv:3: no audio")


def interrupt():
    raise KeyboardInterrupt


def test_programs_end_without_traceback(capsys):
    with pytest.raises(SystemExit, match=r"error: corpus\.tsv:3: no audio"):
        run_recipe(fail_kindly)
    with pytest.raises(SystemExit) as error:
        run_recipe(interrupt)
    assert error.value.code == 130 and "goes on" in capsys.readouterr().err
