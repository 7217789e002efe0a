"""--out of every kind: pipes and devices get what is written, folders of other files stay as they are."""

import os
import stat
from threading import Thread

import pytest

TEXT = "turn on the light\nturn off the light\nthe light is on\n"


def content_of_pipe(path, act):
    """What an act writes to a named pipe."""
    found = []
    reader = Thread(target=lambda: found.append(path.read_bytes()), daemon=True)
    reader.start()
    done = act()
    if not found and stat.S_ISREG(path.stat().st_mode):  # it was replaced: let the reader go
        raise AssertionError("the pipe was replaced by a file")
    reader.join(timeout=60)
    return done, found[0]


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    yield tmp_path / "pipe"
    os.close(os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK))  # a reader that still waits ends here


def test_language_models_go_into_pipes(run, tmp_path, pipe):
    (tmp_path / "text").write_text(TEXT)
    assert run("lm", "train", tmp_path / "text", "--order", 2, "--out", tmp_path / "lm.arpa").status == 0
    whole = (tmp_path / "lm.arpa").read_bytes()
    train = ("train", tmp_path / "text", "--order", 2)
    mix = ("interpolate", tmp_path / "lm.arpa", tmp_path / "lm.arpa", "--weight", 0.5)
    for command in (train, ("prune", tmp_path / "lm.arpa", "--threshold", 0), mix):
        done, found = content_of_pipe(pipe, lambda command=command: run("lm", *command, "--out", pipe))
        assert done.status == 0 and found.startswith(b"\\data\\") and found.endswith(b"\\end\\\n")
        assert command != train or found == whole
        assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_picture_goes_into_a_pipe(run, tmp_path, sample):
    pytest.importorskip("matplotlib")
    path = tmp_path / "pipe.svg"
    os.mkfifo(path)
    done, found = content_of_pipe(path, lambda: run("plot", sample, "--out", path))
    assert done.status == 0 and b"<svg" in found and stat.S_ISFIFO(path.stat().st_mode)


def test_models_never_take_the_place_of_other_things(run, tmp_path, pipe):
    (tmp_path / "words").write_text("two seven\n")
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers" / "thesis.tex").write_text("years of work\n")
    (tmp_path / "file").write_text("x")
    for out, complaint in (
        (tmp_path / "papers", "folder of other files, without model.json"),
        (tmp_path / "file", "is no folder"),
        (pipe, "is no folder"),
    ):
        done = run("graph", "digits", "--words", tmp_path / "words", "--out", out)
        assert done.status == 1 and complaint in done.complaint
    assert (tmp_path / "papers" / "thesis.tex").read_text() == "years of work\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
