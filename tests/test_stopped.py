"""Ctrl-C leaves one line, and says what is kept."""

import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile

CODE = """
import os, signal, sys
from asr.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # what is begun in the background ignores it
import asr.model.model
def stop(name):
    os.kill(os.getpid(), signal.SIGINT)
asr.model.model.load = stop
sys.argv = ["asr", "transcribe", "digits", sys.argv[1]]
main()
"""


def test_who_stops_before_anything_was_done_is_told_so(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 8000)
    command = [sys.executable, "-c", CODE, str(tmp_path / "a.wav")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 128 + signal.SIGINT and done.stdout == ""
    assert done.stderr == "asr: stopped; nothing was finished yet\n"


GRAPH = """
import os, signal, sys
from asr.cli import main
import asr.graph.const_fst as const_fst, asr.graph.hclg as hclg
signal.signal(signal.SIGINT, signal.default_int_handler)
def stopping(function):
    def stop(*arguments, **options):
        result = function(*arguments, **options)
        os.kill(os.getpid(), signal.SIGINT)
        return result
    return stop
where, name = {"building": (hclg, "determinise"), "writing": (const_fst.Graph, "write")}[sys.argv[1]]
setattr(where, name, stopping(getattr(where, name)))
sys.argv = ["asr", "graph", "digits", "--words", *sys.argv[2:]]
main()
"""


@pytest.mark.parametrize("while_", ["building", "writing"])
def test_a_graph_that_is_stopped_leaves_nothing_and_harms_nothing(tmp_path, while_):
    (tmp_path / "words.txt").write_text("one two three")
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "model.json").write_text("{}")
    for out in ("new", "old"):
        command = [sys.executable, "-c", GRAPH, while_, str(tmp_path / "words.txt"), "--out", str(tmp_path / out)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 128 + signal.SIGINT and "Traceback" not in done.stderr
        assert done.stderr.endswith("asr: stopped; nothing was finished yet\n")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["old", "words.txt"]
        assert [p.name for p in (tmp_path / "old").iterdir()] == ["model.json"]
