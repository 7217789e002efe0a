"""Ctrl-C leaves one line, and says what is kept."""

import signal
import subprocess
import sys

import numpy as np
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
