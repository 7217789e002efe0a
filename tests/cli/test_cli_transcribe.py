"""`asr transcribe` and `asr score` as a person uses them."""

import dataclasses
import io
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.cli import main
from asr.cli.common import output
from asr.errors import AsrError

ASR = [sys.executable, "-m", "asr"]


def in_process_of_its_own(*arguments):
    return subprocess.run([*ASR, *map(str, arguments)], capture_output=True, text=True, timeout=120)


def asr(*arguments):
    """The same in this process, which has no start to wait for."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["asr", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(arguments, ended.value.code or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def words(sample):
    return sample.with_suffix(".txt").read_text(encoding="utf-8").strip()


def broken_files(folder: Path, sample: Path) -> dict[str, str]:
    """Eight files that cannot be transcribed: name -> a word that the complaint must hold."""
    good = sample.read_bytes()
    contents = {
        "empty.wav": (b"", "empty"),
        "text.wav": (b"this is not audio\n" * 50, "audio"),
        "headeronly.wav": (good[:44], ""),
        "truncated.wav": (good[: len(good) // 2], "truncated"),
        "cutheader.wav": (good[:20], ""),
    }
    for name, (data, _) in contents.items():
        (folder / name).write_bytes(data)
    soundfile.write(folder / "short.wav", np.zeros(20, np.float32), 8000)
    nan = np.full(8000, np.nan, np.float32)
    soundfile.write(folder / "nan.wav", nan, 8000, subtype="FLOAT")
    (folder / "noise.mp3").write_bytes(np.random.default_rng(0).bytes(3000))
    return {**{n: w for n, (_, w) in contents.items()}, "short.wav": "short", "nan.wav": "NaN", "noise.mp3": ""}


def test_sample_is_transcribed(words):
    done = in_process_of_its_own("transcribe", "digits", "--sample")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"sample\t{words}\n"


def test_json_has_words_with_times(sample, words):
    done = asr("transcribe", "digits", sample, "--format", "json")
    record = json.loads(done.stdout)
    assert record["id"] == "sample"
    assert record["text"] == words == " ".join(w["word"] for w in record["words"])
    duration = soundfile.info(sample).duration
    times = [t for w in record["words"] for t in (w["start"], w["end"])]
    assert times == sorted(times) and times[0] >= 0 and times[-1] <= duration + 0.02


def test_ctm_lines(sample, words):
    done = asr("transcribe", "digits", sample, "--format", "ctm")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [r[4] for r in rows] == words.split()
    assert all(r[0] == "sample" and r[1] == "1" and float(r[3]) > 0 for r in rows)


def test_a_bad_file_does_not_stop_the_rest(tmp_path, sample, words):
    for i in range(20):
        shutil.copy(sample, tmp_path / f"good{i:02d}.wav")
    broken = broken_files(tmp_path, sample)
    done = asr("transcribe", "digits", tmp_path)
    assert done.returncode == 1
    assert sorted(done.stdout.splitlines()) == [f"good{i:02d}\t{words}" for i in range(20)]
    assert "Traceback" not in done.stderr
    for name, reason in broken.items():
        lines = [line for line in done.stderr.splitlines() if name in line]
        assert len(lines) == 1 and reason in lines[0], (name, done.stderr)


def test_silence_is_an_empty_transcript(tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000, np.float32), 16000)
    done = asr("transcribe", "digits", tmp_path / "quiet.wav")
    assert (done.returncode, done.stdout) == (0, "quiet\t\n")


def test_out_is_written_whole(tmp_path, sample, words):
    out = tmp_path / "words.tsv"
    assert asr("transcribe", "digits", sample, "--out", out).returncode == 0
    assert out.read_text(encoding="utf-8") == f"sample\t{words}\n"
    assert [p.name for p in tmp_path.iterdir()] == ["words.tsv"]


def test_kaldi_data_directory_with_segments(tmp_path, sample, words):
    record = json.loads(asr("transcribe", "digits", sample, "--format", "json").stdout)
    cut = (record["words"][1]["end"] + record["words"][2]["start"]) / 2
    (tmp_path / "wav.scp").write_text(f"rec {sample}\n")
    (tmp_path / "segments").write_text(
        f"rec-a rec 0.0 {cut:.2f}\nrec-b rec {cut:.2f} {soundfile.info(sample).duration}\n"
    )
    (tmp_path / "utt2spk").write_text("rec-a one\nrec-b one\n")
    done = asr("transcribe", "digits", tmp_path)
    assert done.returncode == 0, done.stderr
    heard = dict(line.split("\t") for line in done.stdout.splitlines())
    assert heard["rec-a"].split() == words.split()[:2]
    assert heard["rec-b"].split() == words.split()[2:]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["transcribe", "digitz", "x.wav"], "did you mean 'digits'"),
        (["transcribe", "digits", "nowhere.wav"], "nowhere.wav"),
        (["score", "nowhere.txt", "nowhere.txt"], "nowhere.txt"),
        (["transcribe", "digits"], "at least one file"),
    ],
)
def test_wrong_use_is_one_clear_line(arguments, complaint):
    done = asr(*arguments)
    assert done.returncode != 0
    assert complaint in done.stderr and "Traceback" not in done.stderr


def test_score(tmp_path):
    (tmp_path / "ref").write_text("a one two\nb three\nc four\n")
    (tmp_path / "hyp").write_text("a\tone too\nb\tthree three\n")
    done = asr("score", tmp_path / "ref", tmp_path / "hyp")
    assert done.returncode == 0, done.stderr
    assert "%WER 75.00 [ 3 / 4, 1 ins, 1 del, 1 sub ]" in done.stdout
    assert "CER" in done.stdout


def test_help_and_import_stay_light():
    banned = {"torch", "pynini", "numba", "scipy", "librosa", "lhotse"}
    for statement in ("import asr", "import asr.cli", "import asr.features", "import asr.corpus", "import asr.scoring"):
        code = f"import sys; {statement}; print(*sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert not banned & {m.split(".")[0] for m in done.stdout.split()}, statement
    assert "transcribe" in in_process_of_its_own("--help").stdout


def test_transcribing_works_without_cache_and_home(tmp_path, words):
    """A read-only installation for a user without a home folder: nothing can be cached, everything still works."""
    # Root may write anywhere, so numba's search for a writable place is made to fail instead.
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = caching.CodeLibraryCacheImpl._locator_classes = []\n"
        "import sys; sys.argv = ['asr', 'transcribe', 'digits', '--sample']\n"
        "from asr.cli import main; main()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in {"HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR"}}
    command = [sys.executable, "-B", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"sample\t{words}\n"


def one_line(done) -> str:
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and done.returncode == 1, done.stderr
    return lines[0]


def test_failures_of_odd_names_are_one_line_each(tmp_path, sample):
    (tmp_path / "two\nlines.wav").write_bytes(b"")
    shutil.copy(sample, tmp_path / "tab\there.wav")
    done = asr("transcribe", "digits", tmp_path, "", sample)
    assert len(done.stdout.splitlines()) == 2 and done.stdout.startswith("tab_here\t")
    assert [line.split(": ")[-1] for line in done.stderr.splitlines()] == [
        "an empty name is given; need a file or folder",
        "empty (0 bytes)",
        "2 of 4 failed",
    ]


def test_a_model_without_graph_is_one_error(tmp_path, sample, digits_model):
    folder = dataclasses.replace(digits_model, graph=None).save(tmp_path / "model")
    done = asr("transcribe", folder, sample, tmp_path)
    assert done.stdout == "" and done.stderr.count("no decoding graph") == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_or_closed_stdout_is_one_line(tmp_path, sample):
    (tmp_path / "ref").write_text("a1 one\n")
    score = ["score", str(tmp_path / "ref"), str(tmp_path / "ref")]
    for arguments in (["transcribe", "digits", str(sample)], score, ["--help"]):
        for redirection, complaint in ((">/dev/full", "No space left"), (">&-", "stdout is closed")):
            if arguments == ["--help"] and redirection == ">&-":
                continue  # nothing to say, and nowhere
            command = f"{shlex.join([*ASR, *arguments])} {redirection}"
            done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
            assert complaint in one_line(done)


def test_out_is_stdout_a_device_or_a_file_but_never_replaces_a_device(tmp_path):
    target = tmp_path / "target"
    target.write_text("before\n")
    with target.open("a") as held:
        for path in (f"/proc/self/fd/{held.fileno()}", f"/dev/fd/{held.fileno()}"):
            if Path(path).exists():
                with output(Path(path)) as stream:
                    stream.write("after\n")
    assert target.read_text().startswith("before\n")
    (tmp_path / "link").symlink_to("target")
    with output(tmp_path / "link") as stream:
        stream.write("new\n")
    assert (tmp_path / "link").is_symlink() and target.read_text() == "new\n"
    with pytest.raises(AsrError, match="is a folder"), output(tmp_path):
        pass
    if Path("/dev/full").exists():
        with pytest.raises(AsrError, match="cannot be written"), output(Path("/dev/full")) as stream:
            stream.write("x")
        assert Path("/dev/full").is_char_device()


def test_out_in_an_impossible_place_is_one_line(tmp_path, sample):
    (tmp_path / "file").touch()
    assert "cannot be written" in one_line(asr("transcribe", "digits", sample, "--out", tmp_path / "file" / "inner"))


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_leaves_what_it_had_done_beside_the_old_output(tmp_path, sample, number):
    (tmp_path / "many").mkdir()
    for i in range(1000):
        (tmp_path / "many" / f"{i}.wav").symlink_to(sample)
    (tmp_path / "out").mkdir()
    out = tmp_path / "out" / "words.tsv"
    out.write_text("old")
    code = (  # that cannot be done before it is stopped, however fast the machine is
        "import sys, time, asr.model as m\n"
        "d = m.Model.decode\n"
        "m.Model.decode = lambda self, x: (time.sleep(0.2), d(self, x))[1]\n"
        f"sys.argv = {['asr', 'transcribe', 'digits', str(tmp_path / 'many'), '--out', str(out)]!r}\n"
        "from asr.cli import main; main()\n"
    )
    # A shell that puts the tests into the background makes them, and what they start, deaf to SIGINT.
    heed = lambda: signal.signal(number, signal.SIG_DFL)  # noqa: E731
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=heed) as process:
        deadline = time.monotonic() + 300  # a machine may be busy with other tests
        partial = out.with_name("words.tsv.partial")
        while not (partial.exists() and partial.stat().st_size > 2000):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(number)
        _, errors = process.communicate(timeout=300)
    assert process.returncode == 128 + number and "Traceback" not in errors
    assert sorted(p.name for p in out.parent.iterdir()) == ["words.tsv", "words.tsv.partial"]
    assert out.read_text() == "old" and "the same command goes on" in errors


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="needs SIGHUP")
def test_nohup_still_works():
    code = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); sys.argv = ['asr', '--version']\n"
        "from asr import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN, signal.getsignal(signal.SIGTERM) is signal.SIG_DFL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True False"


def test_what_a_model_does_not_take_is_said_once(tmp_path, sample, words):
    listed = tmp_path / "feats.scp"
    listed.write_text("".join(f"x{i} {tmp_path}/feats.ark:{i}\n" for i in range(5)))
    done = asr("transcribe", "digits", sample, listed)
    assert (done.returncode, done.stdout) == (1, f"sample\t{words}\n")
    about, total = done.stderr.splitlines()
    assert "5 of 6 are features alone, and this model takes audio at 8000 Hz" in about and "x0" in about
    assert total == "asr: 5 of 6 failed"


def test_two_ctm_files_are_scored_with_their_edges(tmp_path):
    reference, heard = tmp_path / "ref.ctm", tmp_path / "hyp.CTM"
    reference.write_text("u 1 0.10 0.30 one\nu 1 0.50 0.40 two\nv 1 0 0.5 three\n")
    heard.write_text("u 1 0.52 0.38 two\nu 1 0.10 0.36 one\nv 1 0 0.5 tree\n")
    done = asr("score", reference, heard)
    assert done.returncode == 0 and done.stdout.startswith("%WER 33.33 [ 1 / 3, 0 ins, 0 del, 1 sub ]")
    assert "2 of 3 words are correct" in done.stdout
    (ends,) = (line.split() for line in done.stdout.splitlines() if line.startswith("ends"))
    assert ends[:6] == ["ends", "2", "50.0", "50.0", "50.0", "100.0"]
    text = tmp_path / "text"
    text.write_text("u one two\nv three\n")
    done = asr("score", text, heard, "--unit", "word")  # without times there are no edges to compare
    assert done.stdout.startswith("%WER 33.33 [ 1 / 3,") and "words are correct" not in done.stdout
