"""File names that are not UTF-8, names in a locale that is not, lost links: one clear line, or simply read."""

import os
import shutil
import subprocess
import sys

import pytest

ASR = [sys.executable, "-m", "asr"]
LATIN = os.fsdecode(b"caf\xe9")


@pytest.fixture
def folder(tmp_path, sample):
    """A recording whose name is not UTF-8, a good one, a link that leads nowhere, and transcripts."""
    where = tmp_path / "l"
    where.mkdir()
    try:
        shutil.copy(sample, where / f"{LATIN}.wav")
    except (OSError, UnicodeError):
        pytest.skip("the file system takes UTF-8 alone")
    shutil.copy(sample, where / "good.wav")
    (where / "x.wav").symlink_to("nowhere.wav")
    for name in (LATIN, "good", "x"):
        (where / f"{name}.txt").write_text("two seven\n")
    return where


@pytest.mark.parametrize("what", ["folder", "file"])
@pytest.mark.parametrize(
    "command",
    [
        ["info", "IN"],
        ["info", "IN", "--json"],
        ["transcribe", "digits", "IN"],
        ["score", "IN", "IN"],
        ["features", "mfcc", "IN", "--out", "OUT"],
        ["plot", "IN", "--out", "OUT.png", "--features", "none"],
        ["train", "IN", "OUT", "--stages", "mono"],
        ["lm", "train", "IN", "--out", "OUT"],
    ],
    ids=" ".join,
)
def test_no_command_ends_in_a_traceback(run, folder, tmp_path, command, what):
    place = folder if what == "folder" else folder / f"{LATIN}.wav"
    arguments = [a.replace("IN", str(place)) if a == "IN" else a.replace("OUT", str(tmp_path / "o")) for a in command]
    done = run(*arguments)  # any error but the command's own would come through
    assert done.status in (0, 1) and "Traceback" not in done.err
    if what == "folder" and command[0] in ("info", "transcribe", "features", "train"):
        told = done.out + done.err
        assert "caf\\udce9" in told and "ename" in told  # rename it
        assert "x.wav: the link leads to no file" in told or 'x.wav: the link leads to no file"' in told
    if command[0] in ("transcribe", "info", "features") and what == "folder":
        assert "good" in done.out or "1 recording," in done.out or "utterances" in done.out


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX locales")
def test_names_with_accents_where_the_locale_is_not_utf_8(tmp_path, sample):
    shutil.copy(sample, tmp_path / "café.wav")
    (tmp_path / "café.txt").write_text("two seven\n")
    (tmp_path / "list.scp").write_text("u1 café.wav\n", encoding="utf-8")
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0"}

    def asr(*arguments):
        return subprocess.run([*ASR, *arguments], capture_output=True, env=environment, cwd=tmp_path, timeout=300)

    done = asr("transcribe", "digits", ".", "list.scp")
    assert (done.returncode, done.stderr) == (0, b"")
    said = b"two seven one eight two eight"
    assert done.stdout == b"caf\xc3\xa9\t" + said + b"\nu1\t" + said + b"\n"
    done = asr("features", "mfcc", "café.wav", "--out", "feats")
    assert done.returncode == 0 and [p.name for p in (tmp_path / "feats").iterdir()] == ["café.npy"], done


def test_a_link_to_nothing_is_told_with_where_it_points(run, tmp_path):
    (tmp_path / "x.wav").symlink_to("nowhere.wav")
    (tmp_path / "wav.scp").write_text(f"x {tmp_path}/x.wav\n")
    for given in ("x.wav", "wav.scp"):
        assert "x.wav: the link leads to no file (nowhere.wav)" in run("transcribe", "digits", tmp_path / given).err
