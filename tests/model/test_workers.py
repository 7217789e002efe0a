"""Decoding in several processes: the same words in the same order, whatever befalls the processes."""

import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from asr import audio
from asr.corpus import Problem, Utterance
from asr.errors import ModelError
from asr.features.pipeline import FeaturePipeline
from asr.model import workers as module
from asr.model.adaptation import UNADAPTED, SpeakerAdaptation
from asr.model.model import load
from asr.model.transcription import recognise, transcribe_all
from asr.model.workers import Workers, _packed, _unpacked

from .. import workers_tasks

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Processes are started with the first task, and waited for, so that they do have something to do."""
    monkeypatch.setattr(module, "_PATIENCE", 0.0)
    start = Workers._start

    def and_wait(self):
        start(self)
        self._first.exception()

    monkeypatch.setattr(Workers, "_start", and_wait)


@pytest.fixture(scope="module")
def recordings(tmp_path_factory, sample):
    """Several short recordings, two of silence, one that is none, and one of 90 s."""
    samples, rate = audio.read(sample)
    folder, rng = tmp_path_factory.mktemp("several"), np.random.default_rng(0)
    for i in range(30):
        a = int(rng.integers(0, len(samples) // 2))
        soundfile.write(folder / f"r{i:02d}.wav", samples[a : a + int(rng.integers(rate // 2, 2 * rate))], rate)
    soundfile.write(folder / "r03.wav", np.zeros(rate), rate)
    (folder / "r05.wav").write_text("no recording")
    pause = 1e-4 * rng.standard_normal(int(0.8 * rate)).astype(np.float32)
    soundfile.write(folder / "r10.wav", np.tile(np.concatenate([samples, pause]), 26), rate, subtype="PCM_16")
    speakers = ("ann", "bob", "eve")
    return [Utterance(p.stem, speakers[i % 3], p) for i, p in enumerate(sorted(folder.iterdir()))]


def found_by(model, recordings, n_jobs, **options):
    return [
        (p.recording.id, p.number, p.start, p.end, p.is_last, p.result)
        for p in recognise(model, recordings, n_jobs=n_jobs, **options)
    ]


def model_of(kind, digits_model, monophones):
    """A model that streams, one that needs all of a recording or of a speaker, one that adapts, one with lattices."""
    if kind == "streaming":
        return digits_model
    if kind == "alternatives":
        return digits_model.with_alternatives(3, least=0.5)
    model = load(monophones) if kind == "adapts" else digits_model
    adaptation = SpeakerAdaptation(model.acoustic, model.acoustic) if kind == "adapts" else UNADAPTED
    mode = "utterance" if kind == "utterance" else "speaker"
    steps = ({"kind": "mfcc"}, {"kind": "cmvn", "mode": mode}, {"kind": "delta"})
    return dataclasses.replace(model, features=FeaturePipeline(8000, steps), adaptation=adaptation)


@pytest.mark.parametrize("kind", ["streaming", "alternatives", "utterance", "speaker", "adapts"])
def test_pieces_words_and_order_are_those_of_one_process(digits_model, monophones, recordings, kind):
    model = model_of(kind, digits_model, monophones)
    one, three = (found_by(model, recordings, n) for n in (1, 3))
    assert three == one and len(one) > 36
    problems = [row[-1] for row in one if isinstance(row[-1], Problem)]
    assert len(problems) == 1 and "r05.wav" in problems[0].message
    assert sum(row[-1].is_silent for row in one if not isinstance(row[-1], Problem)) == 1


def test_processes_do_work(digits_model, recordings, monkeypatch):
    """Of recordings that are read by the processes, and of the pieces of a long one."""
    sent = []
    send = Workers._sent
    monkeypatch.setattr(Workers, "_sent", lambda self, task: sent.append(task[0].__name__) or send(self, task))
    assert sum(p.is_last for p in recognise(digits_model, recordings, n_jobs=3)) == 30
    assert sent.count("_whole") > 5 and sent.count("_words") > 3


def test_what_an_earlier_run_found_is_not_sought_again(digits_model, recordings):
    first = {(p.recording.id, p.number): p.result for p in recognise(digits_model, recordings)}
    kept = {k: v for k, v in first.items() if not isinstance(v, Problem) and k[0] != "r20"}
    asked = []

    def known(recording, number, start, end):
        asked.append((recording.id, number))
        return kept.get((recording.id, number))

    again = {(p.recording.id, p.number): p.result for p in recognise(digits_model, recordings, n_jobs=3, known=known)}
    assert again == first and {k for k in asked if k not in kept} == {("r20", 0)}


def test_warnings_reach_the_process_that_asks(digits_model, tmp_path, sample, caplog):
    """As of bytes behind a recording."""
    several = []
    for i in range(12):
        (tmp_path / f"cut{i}.wav").write_bytes(sample.read_bytes() + b"no sound" * 100)
        several.append(Utterance(f"cut{i}", "ann", tmp_path / f"cut{i}.wav"))
    with caplog.at_level(logging.WARNING, logger="asr"):
        assert len(list(transcribe_all(digits_model, several, n_jobs=2))) == 12
    assert all(f"cut{i}.wav" in caplog.text for i in range(12))
    records = [r for r in caplog.records if "cut7.wav" in r.getMessage()]
    assert records and records[0].name.startswith("asr.audio") and str(records[0].args[0]).endswith("cut7.wav")


def results_of(workers, tasks):
    """Results, or errors, of tasks."""
    found = []
    for key, pending in workers.each(enumerate(tasks)):
        try:
            found.append((key, pending.get()))
        except Exception as error:
            found.append((key, error))
    return [result for _, result in sorted(found, key=lambda pair: pair[0])] if found else []


@pytest.fixture
def sent_only(monkeypatch):
    """No task is done in the process that asks: those that end their process would end the tests."""
    monkeypatch.setattr(module, "_QUEUE", 1000)


@pytest.mark.usefixtures("sent_only")
def test_a_process_that_is_ended_costs_no_result(digits_model, tmp_path):
    tasks = [(workers_tasks.doubled, (i,)) for i in range(40)]
    for i in (3, 4, 25):
        tasks[i] = workers_tasks.ends_once, (tmp_path / f"{i}", i)
    with Workers(digits_model, 3) as workers:
        workers.expect_much()
        assert results_of(workers, tasks) == [2 * i for i in range(40)]


@pytest.mark.usefixtures("sent_only")
def test_only_the_task_is_blamed_that_ends_processes(digits_model):
    tasks = [(workers_tasks.doubled, (i,)) for i in range(40)]
    tasks[7] = workers_tasks.ends, ()
    with Workers(digits_model, 3) as workers:
        workers.expect_much()
        found = results_of(workers, tasks)
    assert isinstance(found[7], ModelError) and "was ended by the system" in str(found[7])
    assert found[:7] + found[8:] == [2 * i for i in range(40) if i != 7]


@pytest.mark.usefixtures("sent_only")
def test_what_a_task_raises_is_raised(digits_model):
    with Workers(digits_model, 2) as workers:
        workers.expect_much()
        errors = results_of(workers, [(workers_tasks.raises, (text,)) for text in ("a", "b")])
    assert [(type(e), str(e)) for e in errors] == [(ModelError, "a"), (ModelError, "b")]


def test_where_no_process_can_be_started_one_does_all(digits_model, recordings, monkeypatch, caplog):
    monkeypatch.setattr(module, "has_one_thread", lambda **_: False)
    monkeypatch.setattr(module, "_packed", lambda model: b"nothing that can be read")
    one = found_by(digits_model, recordings[:8], 1)
    with caplog.at_level(logging.WARNING, logger="asr"):
        assert found_by(digits_model, recordings[:8], 3) == one
    assert "one core does all" in caplog.text


def test_a_mapped_graph_is_not_copied(digits_model, tmp_path):
    folder = digits_model.save(tmp_path / "model")
    model = load(folder)
    data = _packed(model)
    assert len(data) < len(_packed(digits_model.with_decoding(beam=5.0))) + 1000
    again = _unpacked(data)
    arrays = again.graph.arcs, again.graph.states
    assert all(np.array_equal(a, b) for a, b in zip(arrays, (model.graph.arcs, model.graph.states), strict=True))
    assert all(isinstance(a.base, np.memmap) and not a.flags.writeable for a in arrays)
    os.utime(folder / "HCLG.fst", (1, 1))
    with pytest.raises(ModelError, match=r"HCLG\.fst: was changed while it was used"):
        _unpacked(data)


FORKS = """
import sys
from asr.model import workers
from tests import workers_tasks
workers._QUEUE = 1000  # no task is done here: some would end this process
assert workers.has_one_thread()
workers_tasks.fork_and_tell(sys.argv[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere nothing is forked")
def test_forks_do_the_same(tmp_path):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", FORKS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, env=environment, cwd=ROOT)
    told = json.loads(done.stdout)
    assert all(name.startswith("ForkProcess") for name in told["names"]) and len(told["names"]) == 9
    assert len(set(told["held"])) == 1, "processes began anew, as if mapped graphs were lost memory"
    assert "was ended by the system" in told["bad"][7] and told["bad"][9] == "nine"
    assert [told["bad"][i] for i in range(40) if i not in (7, 9)] == [2 * i for i in range(40) if i not in (7, 9)]
    assert done.stderr == ""


def test_a_recording_of_one_piece_starts_no_process(digits_model, sample, monkeypatch):
    monkeypatch.setattr(Workers, "_start", lambda self: pytest.fail("a process was started"))
    (part,) = recognise(digits_model, [Utterance("sample", "ann", sample)], n_jobs=3)
    assert part.result.text == "two seven one eight two eight"


@pytest.mark.parametrize("n_jobs", [0, -2])
def test_numbers_of_processes_that_cannot_be(digits_model, n_jobs):
    with pytest.raises(ValueError, match=f"n_jobs={n_jobs}"):
        list(recognise(digits_model, [], n_jobs=n_jobs))


def children_of(process):
    return [p for p in psutil.Process(process.pid).children(recursive=True) if "tracker" not in " ".join(p.cmdline())]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_stays_when_the_command_is_stopped_and_it_goes_on(recordings, tmp_path, how):
    out, names = tmp_path / "words.txt", []
    for i in range(15):
        copy = tmp_path / f"copy{i}.wav"
        copy.symlink_to(recordings[10].audio)
        names.append(str(copy))
    command = ["asr", "transcribe", "digits", *names, "--jobs", "3", "--format", "lines"]
    slow = (  # so that it is not done before it is stopped; forks are as slow
        "import time, asr.model as m\nd = m.Model.decode\nm.Model.decode = lambda s, x: (time.sleep(0.1), d(s, x))[1]\n"
        f"import sys; sys.argv = {[*command, '--out', str(out)]!r}; from asr.cli import main; main()"
    )
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731 - who runs the tests may ignore it
    with subprocess.Popen(
        [sys.executable, "-c", slow], stderr=subprocess.PIPE, text=True, env=environment, preexec_fn=heed
    ) as process:
        partial = tmp_path / "words.txt.partial"
        while not (partial.exists() and partial.stat().st_size > 5000 and len(children_of(process)) == 2):
            assert process.poll() is None
            time.sleep(0.02)
        children = children_of(process)
        process.send_signal(how)
        process.wait(30)
    gone, alive = psutil.wait_procs(children, timeout=10)
    assert not alive and len(gone) == 2 and not out.exists()
    status = {signal.SIGINT: 130, signal.SIGTERM: 128 + 15, signal.SIGKILL: -9}[how]
    assert process.returncode == status
    command = [sys.executable, "-m", *command]
    done = subprocess.run([*command, "--out", out], capture_output=True, text=True, check=True)
    assert "going on: " in done.stderr
    expected = subprocess.run([*command, "--jobs", "1"], capture_output=True, text=True, check=True).stdout
    assert out.read_text() == expected


@pytest.mark.slow
def test_a_process_that_is_killed_costs_the_command_no_words(recordings, tmp_path):
    """Killed from outside, while recordings and pieces are under way; a file that is bad is still the only one."""
    names = [str(r.audio) for r in recordings] * 4
    command = [sys.executable, "-m", "asr", "transcribe", "digits", *names, "--format", "lines", "--jobs"]
    expected = subprocess.run([*command, "1"], capture_output=True, text=True)
    assert expected.returncode == 1 and "r05.wav" in expected.stderr
    killed, lines = set(), []
    with subprocess.Popen([*command, "3"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            lines.append(line)
            children = {p.pid for p in children_of(process)} - killed if len(killed) < 2 else ()
            if len(lines) > 10 and children:
                killed.add(min(children))
                os.kill(min(children), signal.SIGKILL)
        errors = process.stderr.read()
    assert killed and "".join(lines) == expected.stdout
    assert process.returncode == 1 and errors == expected.stderr
