import errno
import io
import logging
import multiprocessing
import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from asr.errors import AsrError, ConfigError
from asr.recipe import Run, cpu_seconds, run_recipe
from asr.recipe.stages import TimeLeft

CALLS = []


@dataclass(frozen=True)
class Options:
    factor: int = 2
    names: tuple[str, ...] = ("a",)


def write_number(folder, number, options=None):
    CALLS.append("number")
    (folder / "number.txt").write_text(str(number))


def double(folder, source, options):
    CALLS.append("double")
    value = int((source / "number.txt").read_text()) * options.factor
    (folder / "number.txt").write_text(str(value))
    if value == 26:
        raise RuntimeError("unlucky")


def two_stages(out, number=3, options=None):
    run = Run(out)
    CALLS.clear()
    first = run.stage("number", write_number, {"number": number})
    return run.stage("double", double, {"source": first, "options": options or Options()})


def value_of(folder):
    return (folder / "number.txt").read_text()


def test_second_run_does_nothing(tmp_path):
    assert value_of(two_stages(tmp_path)) == "6" and CALLS == ["number", "double"]
    assert value_of(two_stages(tmp_path)) == "6" and CALLS == []


def test_what_depends_on_a_change_runs_again(tmp_path):
    two_stages(tmp_path)
    assert value_of(two_stages(tmp_path, number=4)) == "8" and CALLS == ["number", "double"]
    assert value_of(two_stages(tmp_path, number=4, options=Options(factor=3))) == "12" and CALLS == ["double"]
    assert value_of(two_stages(tmp_path, number=4, options=Options(factor=3, names=("b",)))) == "12"
    assert CALLS == ["double"]


def in_processes(folder, number, n_jobs):
    CALLS.append(n_jobs)
    (folder / "number.txt").write_text(str(number))


def test_another_number_of_processes_runs_nothing_again(tmp_path):
    CALLS.clear()
    for n_jobs, number in ((1, 3), (2, 3), (-1, 3), (2, 4)):
        assert value_of(Run(tmp_path).stage("number", in_processes, {"number": number, "n_jobs": n_jobs})) == str(
            number
        )
    assert CALLS == [1, 2]


def test_other_code_runs_again(tmp_path):
    Run(tmp_path, code="2").stage("number", write_number, {"number": 1})
    CALLS.clear()
    Run(tmp_path, code="2").stage("number", write_number, {"number": 1})
    assert CALLS == []
    Run(tmp_path, code="3").stage("number", write_number, {"number": 1})
    assert CALLS == ["number"]


def test_failed_stage_leaves_nothing_and_the_run_resumes_there(tmp_path):
    with pytest.raises(RuntimeError, match="unlucky"):
        two_stages(tmp_path, number=13)
    assert not (tmp_path / "double").exists() and not list((tmp_path / ".partial").iterdir())
    assert value_of(two_stages(tmp_path, number=13, options=Options(factor=3))) == "39"
    assert CALLS == ["double"]


def slow(folder, log, calls):
    """Ends when another run waits for it."""
    with Path(calls).open("a") as file:
        file.write("slow\n")
    (folder / "first.txt").write_text("1")
    deadline = time.monotonic() + 30
    while "waiting for that" not in Path(log).read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    (folder / "second.txt").write_text("2")


def test_runs_share_a_folder(tmp_path):
    """A stage of one run is not touched when one of another ends; what one makes, the other waits for and takes."""
    pytest.importorskip("fcntl")
    out, calls = tmp_path / "out", str(tmp_path / "calls")

    def make_slow(quick_first):
        logging.getLogger("asr").setLevel(logging.INFO)
        run = Run(out)
        if quick_first:
            run.stage("quick", write_number, {"number": 1})
        folder = run.stage("slow", slow, {"log": str(out / "run.log"), "calls": calls})
        assert sorted(p.name for p in folder.iterdir()) == ["first.txt", "second.txt"]

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


def test_a_file_system_without_locks(tmp_path, monkeypatch, caplog):
    fcntl = pytest.importorskip("fcntl")

    def none_here(*arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "lockf", none_here)
    assert value_of(two_stages(tmp_path)) == "6"
    assert "no locks here (No locks available); let no other run work in this folder" in caplog.text


def test_failure_keeps_the_former_result_of_other_inputs(tmp_path):
    two_stages(tmp_path, number=3)
    with pytest.raises(RuntimeError):
        two_stages(tmp_path, number=13)
    assert value_of(tmp_path / "double") == "6"
    assert value_of(two_stages(tmp_path, number=3)) == "6" and CALLS == ["number"]


def test_damaged_or_deleted_output_is_made_again(tmp_path):
    folder = two_stages(tmp_path)
    (folder / "number.txt").write_text("666")
    assert value_of(two_stages(tmp_path)) == "6" and CALLS == ["double"]
    (tmp_path / ".stages" / "double.json").write_text("{")
    assert value_of(two_stages(tmp_path)) == "6" and CALLS == ["double"]


def test_input_folders_count_with_their_contents(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    (source / "number.txt").write_text("5")
    out = tmp_path / "out"
    inputs = {"source": source, "options": Options()}
    assert value_of(Run(out).stage("double", double, inputs)) == "10"
    (source / "number.txt").write_text("7")
    assert value_of(Run(out).stage("double", double, inputs)) == "14"


@pytest.mark.parametrize("value", [object(), np.array([object()]), {"a": {1, 2}}, Path("/nonexistent/corpus")])
def test_inputs_that_cannot_be_hashed_are_named(tmp_path, value):
    with pytest.raises(ConfigError, match="stage number: number"):
        Run(tmp_path).stage("number", write_number, {"number": value})


def test_inputs_of_different_kinds_differ(tmp_path):
    for value in (1, 1.0, "1", None, True, [1], np.ones(1), np.ones(1, np.float32), np.ones((1, 1)), {"a": 1}):
        CALLS.clear()
        Run(tmp_path).stage("number", write_number, {"number": value})
        assert CALLS == ["number"], value


def test_hidden_dependencies_and_double_names_are_refused(tmp_path):
    hidden = 3
    with pytest.raises(ConfigError, match="pass what it needs as inputs"):
        Run(tmp_path).stage("number", lambda folder: write_number(folder, hidden))
    run = Run(tmp_path)
    run.stage("number", write_number, {"number": 1})
    with pytest.raises(ConfigError, match="twice"):
        run.stage("number", write_number, {"number": 1})


def burn(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


def burn_in_workers(folder):
    import joblib

    joblib.Parallel(n_jobs=2)(joblib.delayed(burn)(0.3) for _ in range(2))


def test_processor_time_counts_workers_and_is_remembered(tmp_path):
    run = Run(tmp_path)
    run.stage("burn", burn_in_workers)
    assert 0.6 <= run.cpu_seconds("burn") < 20
    again = Run(tmp_path)
    assert again.stage("burn", burn_in_workers) and again.cpu_seconds("burn") == run.cpu_seconds("burn")
    with pytest.raises(AsrError, match="no stage 'other'"):
        again.cpu_seconds("other")


def test_cpu_seconds_can_be_called_between_parallel_work():
    import joblib

    before = cpu_seconds()
    joblib.Parallel(n_jobs=2)(joblib.delayed(burn)(0.1) for _ in range(2))
    middle = cpu_seconds()
    assert joblib.Parallel(n_jobs=2)(joblib.delayed(abs)(-i) for i in range(4)) == [0, 1, 2, 3]
    assert middle - before >= 0.2


def count_up(folder, progress):
    for i in range(3):
        progress(i + 1, 3)


def test_progress_is_passed_and_stages_are_logged(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    Run(tmp_path).stage("count", count_up)
    Run(tmp_path).stage("count", count_up)
    text = caplog.text
    assert "count ..." in text and "count: done in" in text and "count: there already" in text


def test_the_stages_of_a_run_of_known_length_are_numbered(tmp_path, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    run = Run(tmp_path, n_stages=2)
    run.stage("number", write_number, {"number": 1})
    run.stage("count", count_up)
    Run(tmp_path, n_stages=2).stage("number", write_number, {"number": 1})
    assert "stage 1 of 2, number ..." in caplog.text and "stage 2 of 2, count ..." in caplog.text
    assert "stage 1 of 2, number: there already" in caplog.text


class Terminal(io.StringIO):
    def isatty(self):
        return True


def count_slowly(folder, progress):
    progress.place = lambda part: f"epoch {int(3 * part) + 1} of 3"
    for done in (0, 100, 290):
        progress(done, 300)
        time.sleep(0.2)  # the bar is drawn ten times a second


def test_a_terminal_shows_the_stage_and_where_it_is(tmp_path, monkeypatch):
    """Nothing is shown as `0/?` before the first report, nor units that nobody knows."""
    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("COLUMNS", "100")
    Run(tmp_path, n_stages=8).stage("sat", count_slowly)
    shown = screen.getvalue()
    assert "stage 1 of 8, sat, epoch 3 of 3" in shown and " 33%" in shown.replace("\xa0", " ")
    assert "?" not in shown.replace("\x1b[?25", "") and "300" not in shown


def test_without_a_terminal_lines_tell_the_part_and_the_time_left(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    for name in ("_SAY_EVERY", "_LEAST_SECONDS"):
        monkeypatch.setattr(f"asr.recipe.stages.{name}", 0.0)
    Run(tmp_path).stage("ctc", count_slowly)
    assert "ctc, epoch 2 of 3: 33 %, about 0." in caplog.text


def test_before_there_is_a_pace_the_part_alone_is_told(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="asr")
    monkeypatch.setattr("asr.recipe.stages._SAY_EVERY", 0.0)
    run = Run(tmp_path, n_stages=2)
    run.stage("ctc", count_slowly)
    assert "stage 1 of 2, ctc, epoch 2 of 3: 33 %\n" in caplog.text and "left" not in caplog.text
    with run.last("report"):
        assert caplog.messages[-1] == "stage 2 of 2, report ..."
    assert caplog.messages[-1].startswith("report: done in 0.")


def test_the_time_left_is_that_of_the_pace_of_this_run():
    """Half was done by an earlier run, and the minute before the first report was for reading and compiling."""
    left = TimeLeft()
    assert left(500, 1000, 60.0) is None and left(501, 1000, 70.0) is None
    assert left(520, 1000, 75.0) is None  # a single pass or file of many
    assert left(600, 1000, 80.0) == 80.0
    slow = TimeLeft()
    assert [slow(*x) for x in ((0, 1000, 0.0), (1, 1000, 90.0), (20, 1000, 59.0), (20, 1000, 100.0))] == [
        None, None, None, 4900.0
    ]  # fmt: skip
    assert left(900, 1000, 140.0) == 20.0


def no_room(folder):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_and_a_place_that_cannot_be_written_are_one_line(tmp_path):
    with pytest.raises(SystemExit, match=f"error: {tmp_path}/full: No space left on device; make room"):
        run_recipe(lambda: Run(tmp_path).stage("full", no_room))
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
        run_recipe(lambda: Run(tmp_path).stage("number", write_number, {"number": 1}))
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
