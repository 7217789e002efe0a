"""What the reader of audio warns of is printed by the commands, once for each recording."""

import subprocess
import sys

import pytest


@pytest.fixture
def with_junk(recordings):
    """The recordings, with 1200 bytes that are no sound behind each."""
    for path in recordings.rglob("*.wav"):
        path.write_bytes(path.read_bytes() + b"\xa5junk!" * 200)
    return recordings


@pytest.mark.parametrize("jobs", [1, 2])
def test_features_name_what_is_not_read_and_end_well(run, with_junk, tmp_path, jobs):
    done = run("features", "mfcc", with_junk / "ann", "--out", tmp_path / "out", "--jobs", jobs)
    assert done.status == 0
    assert done.err.count("asr: warning: ") == 1 and f"{with_junk}/ann/one.wav: 1200 bytes" in done.err


def test_what_workers_read_is_warned_of_as_in_one_process(run, with_junk, tmp_path):
    """More recordings than a worker gets at a time: each line has its prefix, and of many there is a number."""
    for k in range(40):
        (with_junk / f"more{k:02}.wav").write_bytes((with_junk / "two.wav").read_bytes())
    told = []
    for jobs in (1, 2):
        done = run("features", "mfcc", with_junk, "--out", tmp_path / f"out{jobs}", "--jobs", jobs)
        assert done.status == 0
        told.append([line for line in done.err.splitlines() if "1200 bytes behind" in line])
    assert told[0] == told[1] and len(told[1]) == 4
    assert all(line.startswith("asr: warning: ") for line in told[1][:3]) and "40 more of this kind" in told[1][3]


def test_transcribe_names_the_first_ones_and_all_with_v(run, with_junk, tmp_path):
    for k in range(4):
        (with_junk / f"more{k}.wav").write_bytes((with_junk / "two.wav").read_bytes())
    done = run("transcribe", "digits", with_junk, "--out", tmp_path / "words.txt")
    told = [line for line in done.err.splitlines() if "1200 bytes behind" in line]
    assert done.status == 0 and len(told) == 4
    assert all(line.startswith("asr: warning: ") for line in told[:3]) and "4 more of this kind" in told[3]
    done = run("transcribe", "digits", with_junk, "-v")
    assert done.status == 0 and done.err.count("1200 bytes behind") == 7


@pytest.mark.parametrize("command", [["transcribe", "digits", "-"], ["info", "-"]])
def test_what_is_piped_is_called_standard_input(with_junk, command):
    for content in (b"no sound at all, " * 9, (with_junk / "one.wav").read_bytes()):
        done = subprocess.run(
            [sys.executable, "-m", "asr", *command],
            input=content,
            capture_output=True,
            timeout=120,
        )
        told = (done.stderr + done.stdout).decode()
        assert "asr: " in told and "standard input" in told and "asr-" not in told and "stdin:" not in told
        assert "ffmpeg" not in told or "ffmpeg -i - -ar 16000 -ac 1 -f wav -\n" in told
