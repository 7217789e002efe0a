"""Tab completion, as the shells ask for it."""

import os
import shutil
import subprocess
import sys

import pytest

COMPLETE = (
    "import sys; sys.argv = ['asr']\n"
    "from asr.cli import main\n"
    "try: main()\n"
    "finally: print('loaded', *({'numpy', 'pydantic', 'rich'} & set(sys.modules)), file=sys.stderr)\n"
)


def complete(line, **more):
    words = line.split()
    position = len(words) if line.endswith(" ") else len(words) - 1
    environment = {**os.environ, "COMP_WORDS": line, "COMP_CWORD": str(position), "_ASR_COMPLETE": "complete_bash"}
    command = [sys.executable, "-c", COMPLETE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, **more)
    return done.stdout.split(), done.stderr.split()


@pytest.mark.parametrize(
    ("line", "completions"),
    [
        ("asr tr", ["transcribe", "train"]),
        ("asr transcribe d", ["digits"]),
        (
            "asr transcribe digits a.wav --format ",
            ["text", "lines", "json", "ctm", "srt", "vtt", "csv", "textgrid", "eaf", "lattice"],
        ),
        ("asr features l", ["lpc", "lpcc"]),
        ("asr features mfcc a.wav b.wav --cmvn s", ["speaker", "sliding"]),
        ("asr plot a.wav --model ", ["digits"]),
        ("asr plot a.wav --feat", ["--features"]),
        ("asr transcribe digits ", []),  # files, which the shell completes itself
    ],
)
def test_completions_come_without_heavy_imports(line, completions, tmp_path):
    assert complete(line, cwd=tmp_path) == (completions, ["loaded"])


def test_settings_and_model_directories_are_completed(tmp_path):
    assert complete("asr features lpcc a.wav --set num")[0] == ["num_ceps="]
    (tmp_path / "models" / "mine").mkdir(parents=True)
    (tmp_path / "models" / "mine" / "model.json").touch()
    (tmp_path / "models" / "other").mkdir()
    assert complete("asr info models/", cwd=tmp_path)[0] == ["models/mine"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell):
    environment = {**os.environ, "_ASR_COMPLETE": f"source_{shell}"}
    done = subprocess.run([sys.executable, "-m", "asr"], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0 and f"_ASR_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(tmp_path):
    (tmp_path / "asr").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m asr "$@"\n')
    (tmp_path / "asr").chmod(0o755)
    script = (
        'eval "$(_ASR_COMPLETE=source_bash asr)"; COMP_WORDS=(asr score --conf); COMP_CWORD=2; _asr_completion asr; '
        'echo "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout.split() == ["--confusions"], done.stderr


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_completion_is_installed_for_the_shell_that_asks(tmp_path):
    environment = {**os.environ, "HOME": str(tmp_path)}
    command = f'"{sys.executable}" -m asr --install-completion; true'  # `true` keeps bash the parent
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=environment, timeout=60)
    assert "bash completion installed" in done.stdout, done.stderr
    assert "asr.sh" in (tmp_path / ".bashrc").read_text()
