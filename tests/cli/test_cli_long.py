"""`asr transcribe` on long recordings and calls: formats, channels, commands, standard input, going on, the meter."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from asr import audio
from asr.cli.meter import Meter, clock
from asr.model.transcript import TimedWord, Transcript
from asr.transcribe.journal import Journal

ASR = [sys.executable, "-m", "asr"]


@pytest.fixture(scope="module")
def said(sample):
    return sample.with_suffix(".txt").read_text(encoding="utf-8").split()


@pytest.fixture(scope="module")
def long(tmp_path_factory, sample):
    """A recording of 90 s: the sample again and again."""
    samples, rate = audio.read(sample)
    pause = 1e-4 * np.random.default_rng(0).standard_normal(int(0.8 * rate)).astype(np.float32)
    path = tmp_path_factory.mktemp("long") / "long.wav"
    soundfile.write(path, np.tile(np.concatenate([samples, pause]), 26), rate, subtype="PCM_16")
    return path


def test_every_format_has_all_words(run, long, said):
    text = run("transcribe", "digits", long)
    assert text.status == 0 and text.out.count("\n") == 1 and text.out.startswith("long\t")
    words = text.out.split()[1:]
    assert words[: len(said)] == said and 0.95 < len(words) / (26 * len(said)) < 1.05
    lines = [line.split("\t") for line in run("transcribe", "digits", long, "--format", "lines").out.splitlines()]
    assert len(lines) > 3 and [w for line in lines for w in line[3].split()] == words
    assert lines[0][:2] == ["long", "0.00"] and all(a[2] == b[1] for a, b in pairwise(lines))
    (record,) = map(json.loads, run("transcribe", "digits", long, "--format", "json").out.splitlines())
    assert record["text"].split() == words == [word["word"] for word in record["words"]]
    ctm = [line.split() for line in run("transcribe", "digits", long, "--format", "ctm").out.splitlines()]
    assert [row[4] for row in ctm] == words
    starts = [float(row[2]) for row in ctm]
    assert starts == sorted(starts) and 80 < starts[-1] < 92
    assert starts == [round(word["start"], 3) for word in record["words"]]
    for form, arrow in (("srt", ","), ("vtt", ".")):
        shown = run("transcribe", "digits", long, "--format", form).out
        body = [line for line in shown.splitlines() if line and "-->" not in line and not line.isdigit()]
        assert " ".join(body).removeprefix("WEBVTT ").split() == words and "00:00:0" in shown and arrow in shown


@pytest.mark.parametrize("form", ["text", "lines", "json", "ctm", "srt", "vtt"])
def test_every_format_is_written_as_words_are_found(form, digits_model, long, said):
    """What stands on stdout after two of thirteen pieces has words of the first; subtitles wait for some more words."""
    from asr.corpus import Utterance
    from asr.model.transcription import recognise
    from asr.transcribe.writing import FORMATS

    written, shown = FORMATS[form]("long"), []
    for part in recognise(digits_model, [Utterance("long", "long", long)]):
        shown.append(written.add(part.result, part.start, part.end))
    wait = 6 if form in ("srt", "vtt") else 2
    assert len(shown) > 2 * wait and all(said[0] in "".join(shown[i : i + wait]) for i in range(0, len(shown) - wait))
    text = "".join([*shown, written.end()])
    if form == "json":
        record = json.loads(text)
        assert record["text"].split() == [word["word"] for word in record["words"]]
        assert (
            set(record) == {"id", "text", "words", "phones", "score", "reached_final"} and len(record["phones"]) > 400
        )
    empty = FORMATS[form]("x")
    nothing = empty.add(Transcript(""), 0.0, 1.0) + empty.add(
        Transcript("one", (TimedWord("one", 1.0, 2.0),)), 1.0, 2.0
    )
    if form == "json":
        record = json.loads(nothing + empty.end())
        assert record["text"] == "one" and record["words"] == [{"word": "one", "start": 1.0, "end": 2.0}]


def test_subtitles_of_several_recordings_are_files_in_a_folder(run, tmp_path, sample, long):
    done = run("transcribe", "digits", sample, long, "--format", "vtt")
    assert done.status == 1 and "give a folder for them as --out" in done.complaint
    done = run("transcribe", "digits", sample, long, "--format", "vtt", "--out", tmp_path / "all.vtt")
    assert done.status == 1 and "give a folder" in done.complaint and not (tmp_path / "all.vtt").exists()
    (tmp_path / "empty.wav").touch()
    done = run("transcribe", "digits", sample, tmp_path / "empty.wav", "--format", "vtt", "--out", tmp_path / "some")
    assert done.status == 1 and "empty.wav: empty" in done.err and "1 of 2 failed" in done.err
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["sample.vtt"]
    done = run("transcribe", "digits", sample, long, "--format", "vtt", "--out", tmp_path / "subs")
    assert done.status == 0 and sorted(p.name for p in (tmp_path / "subs").iterdir()) == ["long.vtt", "sample.vtt"]
    assert all(p.read_text().startswith("WEBVTT\n") for p in (tmp_path / "subs").iterdir())
    done = run("transcribe", "digits", sample, "--out", tmp_path / "subs")
    assert "is a folder" in done.complaint


def test_standard_input(run, long, sample, said, monkeypatch, tmp_path):
    def piped(content, *arguments):
        return subprocess.run([*ASR, *arguments], input=content, capture_output=True, timeout=120)

    done = piped(sample.read_bytes(), "transcribe", "digits", "-")
    assert done.stdout.decode() == f"stdin\t{' '.join(said)}\n" and not done.stderr
    done = piped(b"", "transcribe", "digits", "-")
    assert done.returncode == 1 and b"empty (0 bytes)" in done.stderr
    (tmp_path / "ref").write_text(f"sample {' '.join(said)}\n")
    done = piped(run("transcribe", "digits", sample).out.encode(), "score", str(tmp_path / "ref"), "-")
    assert done.stdout.startswith(b"%WER 0.00"), done.stderr
    done = piped(b"one two\ntwo one\n", "lm", "train", "-", "--order", "2", "--out", str(tmp_path / "lm.arpa"))
    assert done.returncode == 0, done.stderr
    done = piped(b"one two\n", "lm", "ppl", str(tmp_path / "lm.arpa"), "-")
    assert done.returncode == 0 and b"erplexity" in done.stdout, done
    done = piped(b"a\n", "score", "-", "-")
    assert done.returncode == 1 and b"given twice" in done.stderr


def test_channels(run, tmp_path, sample, said):
    samples, rate = audio.read(sample)
    half = len(samples) // 2
    left = np.concatenate([samples, np.zeros(half, np.float32)])
    right = np.concatenate([np.zeros(half, np.float32), samples])
    rng = np.random.default_rng(0)
    call = np.stack([left, right], axis=1) + 1e-4 * rng.standard_normal((len(left), 2))
    soundfile.write(tmp_path / "call.wav", call, rate)
    soundfile.write(tmp_path / "mono.wav", samples, rate)
    words = " ".join(said)
    first = run("transcribe", "digits", tmp_path / "call.wav", "--channel", "1").out
    assert first == f"call\t{words}\n" or first.startswith(f"call\t{words}")
    mixed = run("transcribe", "digits", tmp_path / "call.wav").out
    assert mixed != first
    each = run("transcribe", "digits", tmp_path, "--channel", "each")
    assert [line.split("\t")[0] for line in each.out.splitlines()] == ["call-1", "call-2", "mono"]
    assert each.out.splitlines()[1].endswith(" ".join(said[-3:]))
    timed = run("transcribe", "digits", tmp_path, "--channel", "each", "--format", "ctm", "--out", tmp_path / "h.ctm")
    assert timed.status == 0
    fields = [line.split() for line in (tmp_path / "h.ctm").read_text().splitlines()]
    assert {(f[0], f[1]) for f in fields} == {("call", "1"), ("call", "2"), ("mono", "1")}
    (tmp_path / "r.stm").write_text("".join(f"call {c} s 0 9 {words}\n" for c in "AB") + f"mono 1 s 0 9 {words}\n")
    right = run("score", tmp_path / "r.stm", tmp_path / "h.ctm", "--unit", "word").out
    assert f"/ {3 * len(said)}," in right and int(right.split()[3]) <= 2
    assert "has no channel 3; it has 1 to 2" in run("transcribe", "digits", tmp_path / "call.wav", "--channel", "3").err
    assert run("transcribe", "digits", tmp_path / "call.wav", "--channel", "0").status == 2
    done = run("features", "mfcc", tmp_path / "call.wav", "--channel", "each", "--out", tmp_path / "feats")
    assert done.status == 0 and sorted(p.name for p in (tmp_path / "feats").iterdir()) == ["call-1.npy", "call-2.npy"]


def test_commands_run_where_they_are_allowed(run, tmp_path, sample, said):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "wav.scp").write_text(f"a cat {sample} |\nb false |\n")
    (tmp_path / "data" / "utt2spk").write_text("a ann\nb ann\n")
    (tmp_path / "list.scp").write_text(f"c cat {sample} |\n")
    refused = run("transcribe", "digits", tmp_path / "data")
    assert refused.out == "" and "--allow-commands" in refused.err
    done = run("transcribe", "digits", tmp_path / "data", tmp_path / "list.scp", "--allow-commands")
    assert done.out == f"a\t{' '.join(said)}\nc\t{' '.join(said)}\n"
    assert "command 'false |' failed (exit status 1)" in done.err and done.status == 1
    done = run("features", "mfcc", tmp_path / "data", "--out", tmp_path / "feats", "--allow-commands")
    assert (tmp_path / "feats" / "a.npy").is_file() and done.status == 1


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_the_same_command_goes_on_where_it_was_stopped(tmp_path, long, run, monkeypatch):
    out = tmp_path / "words.ctm"
    whole = run("transcribe", "digits", long, "--format", "ctm").out
    command = [*ASR, "transcribe", "digits", str(long), "--format", "ctm", "--jobs", "1", "--out", str(out)]
    slow = (
        "import time, asr.model as m\nd = m.Model.decode\nm.Model.decode = lambda s, x: (time.sleep(0.3), d(s, x))[1]\n"
    )
    slow += f"import sys; sys.argv = {command[2:]!r}; from asr.cli import main; main()"
    heed = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    partial = tmp_path / "words.ctm.partial"
    with subprocess.Popen([sys.executable, "-c", slow], stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        deadline = time.monotonic() + 60
        while (not partial.exists() or partial.read_bytes().count(b"\n") < 3) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and "the same command goes on" in errors and "Traceback" not in errors
    assert [p.name for p in tmp_path.iterdir()] == ["words.ctm.partial"]
    with partial.open("ab") as torn:  # as a power failure leaves it
        torn.write(b'{"key": "x", "sec')
    searched = []
    from asr.model import Model

    decode = Model.decode
    monkeypatch.setattr(Model, "decode", lambda self, x: searched.append(len(x)) or decode(self, x))
    done = run(*command[3:])
    assert done.status == 0 and "going on" in done.err and out.read_text() == whole
    assert [p.name for p in tmp_path.iterdir()] == ["words.ctm"] and 0 < sum(searched) < 85 * 100
    searched.clear()
    assert run(*command[3:]).err == "" and sum(searched) > 85 * 100  # done is done: the next run begins anew


def test_a_journal_of_another_job_is_begun_anew(tmp_path):
    heard = Transcript("one", (TimedWord("one", 0.25, 0.5),), score=-1.5, reached_final=False, transform="full")
    first = Journal(tmp_path / "j", "model A")
    first.put("a", 2.0, heard)
    first.close()
    again = Journal(tmp_path / "j", "model A")
    assert again.get("a") == heard and again.get("b") is None and again.seconds == 2.0 and len(again) == 1
    again.close()
    other = Journal(tmp_path / "j", "model B")
    assert len(other) == 0 and other.get("a") is None
    other.close()
    assert len(Journal(tmp_path / "j", "model A")) == 0
    (tmp_path / "k").write_bytes(b"\xff\xfe something else\n" * 3)
    assert len(Journal(tmp_path / "k", "model A")) == 0


def test_a_changed_recording_is_heard_again(run, tmp_path, sample):
    from asr.cli.transcript_output import piece_key
    from asr.corpus import Utterance

    path = tmp_path / "a.wav"
    path.write_bytes(sample.read_bytes())
    recording = Utterance("a", "a", path)
    keys = {piece_key(recording, 0, 0.0, 1.0), piece_key(recording, 1, 0.0, 1.0), piece_key(recording, 0, 0.0, 1.5)}
    os.utime(path, (1, 1))
    assert len(keys | {piece_key(recording, 0, 0.0, 1.0)}) == 4


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_the_meter_says_how_far_it_is_and_what_is_left():
    meter = Meter("transcribed", 2, 600.0, stream=Terminal())
    assert meter.is_shown and not Meter("transcribed", 2, 600.0, stream=io.StringIO()).is_shown
    meter.done(150.0, is_last=False)
    assert meter.text(30.0) == "transcribed 2:30 of 10:00, 0 of 2 recordings, 0.2 x real time, 1:30 left"
    meter.done(300.0, is_last=True, known=True)
    assert "1 of 2 recordings, 0.2 x real time, 0:30 left" in meter.text(30.0)
    unknown = Meter("transcribed", 4, None, stream=Terminal())
    unknown.gone(30.0, 0)
    assert unknown.text(1.0) == "transcribed 0:00, 0 of 4 recordings, 0:30 read"
    unknown.done(30.0, is_last=True)
    assert unknown.text(3.0) == "transcribed 0:30, 1 of 4 recordings, 0.1 x real time"  # too soon to guess
    assert unknown.text(6.0) == "transcribed 0:30, 1 of 4 recordings, 0.2 x real time, 0:18 left"
    begun = Meter("transcribed", 1, 36000.0, stream=Terminal())
    begun.done(30.0, is_last=False)
    assert "left" not in begun.text(20.0) and "x real time" in begun.text(20.0)
    passes = Meter("transcribed", 1, 600.0, stream=Terminal())
    passes.gone(600.0, 0)
    assert passes.text(3.0) == "transcribed 0:00 of 10:00, all of it read, words come with the last pass"
    passes.gone(30.0, 1)
    assert passes.text(4.0) == "transcribed 0:00 of 10:00, pass 1 at 0:30"
    passes.gone(45.0, 2)
    assert passes.text(4.0) == "transcribed 0:00 of 10:00, pass 2 at 0:45"
    passes._begin -= 15.0  # s of work before the first words
    passes.done(10.0, is_last=False)
    assert passes.text(15.0) == "transcribed 0:10 of 10:00, last pass"  # no speed: 15 s were for all of it
    passes.done(290.0, is_last=False)
    assert passes.text(20.0) == "transcribed 5:00 of 10:00, last pass, 0:05 left"
    passes.done(300.0, is_last=True)
    assert passes.text(25.0) == "transcribed 10:00 of 10:00, 0.042 x real time, 0:00 left"
    assert (clock(0), clock(59.6), clock(7322)) == ("0:00", "1:00", "2:02:02")


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_shows_seconds_of_audio_also_without_out(long, said):
    """stdout and stderr are one terminal: words stay readable between the lines of the meter."""
    leader, follower = pty.openpty()
    with subprocess.Popen([*ASR, "transcribe", "digits", str(long)], stdout=follower, stderr=follower) as process:
        os.close(follower)
        shown = b""
        while True:
            try:
                block = os.read(leader, 1 << 16)
            except OSError:  # the end, on Linux
                break
            if not block:
                break
            shown += block
        assert process.wait() == 0
    os.close(leader)
    text = shown.decode()
    assert "transcribed 0:" in text and " of 1:3" in text and "x real time" in text
    lines = [line.rpartition("\r\x1b[K")[2] for line in text.replace("\r\n", "\n").split("\n")]
    kept = "\n".join(line for line in lines if not line.startswith("asr: compiling"))  # of a first run
    assert kept.split()[: 1 + len(said)] == ["long", *said] and "transcribed" not in kept
