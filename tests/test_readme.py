"""The examples in the READMEs run as they stand and give what they say."""

import doctest
import importlib.util
import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", *(f"docs/pages/{name}.md" for name in ("features", "python", "ctc")))  # with Python to run
FEATURES = "docs/pages/features.md"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: str, language: str) -> list[tuple[int, str]]:
    """The page's code blocks of a language, each with the line it begins at."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [(text[: m.start()].count("\n") + 1, m[2]) for m in _BLOCK.finditer(text) if m[1] == language]


@pytest.fixture
def checkout(tmp_path, monkeypatch, sample):
    """A folder to write to in which the recording has the name that the pages give it."""
    (tmp_path / "asr" / "data").mkdir(parents=True)
    shutil.copy(sample, tmp_path / "asr" / "data" / "sample.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_python_examples(page, checkout):
    names: dict = {}
    found = blocks(page, "python")
    assert found
    for line, code in found:
        if any(f"import {name}" in code and not importlib.util.find_spec(name) for name in ("librosa", "torch")):
            continue
        example = doctest.DocTestParser().get_doctest(code, names, page, str(ROOT / page), line)
        assert example.examples, f"{page}:{line}: no >>> in a Python block"
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS, verbose=False)
        failed, _ = runner.run(example, out=report.append, clear_globs=False)
        assert not failed, "".join(report)
        names = example.globs  # later blocks go on where this one ended


def test_a_network_of_ones_own(tmp_path, monkeypatch, capsys):
    """The page of Python, on 120 strings of digits; its settings in TOML; and the command, without the page."""
    pytest.importorskip("torch")
    pytest.importorskip("espeakng_loader")
    from asr.audio.synth import synthesise_digits
    from asr.options import load_config
    from asr.recipe.networks import HybridTable

    made = synthesise_digits(tmp_path / "digits", n_train_voices=6, train_utterances=20, n_test_voices=1, rate_hz=16000)
    (tmp_path / "recordings").symlink_to(made / "train")
    first = min((made / "test").glob("*/*.wav"))
    shutil.copy(first, tmp_path / "new.wav")
    shutil.copy(ROOT / "lang" / "digits" / "lexicon.tsv", tmp_path)
    monkeypatch.chdir(tmp_path)
    ((_, code),), names = blocks("docs/pages/networks.md", "py"), {"__name__": "readme"}
    exec(compile(code, "networks.md", "exec"), names)
    assert names["best_point"](names["points"]).rate < 10
    said = first.with_suffix(".txt").read_text(encoding="utf-8").strip()
    assert capsys.readouterr().out.endswith(f"held-out words wrong; {said}\n")
    command = [sys.executable, "-m", "asr", "transcribe", "exported", "new.wav"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == f"new\t{said}\n", done.stderr
    ((_, table),) = blocks("docs/pages/networks.md", "toml")
    (tmp_path / "recipe.toml").write_text(table, encoding="utf-8")

    @dataclass(frozen=True)
    class Settings:
        dnn: HybridTable

    assert load_config(tmp_path / "recipe.toml", Settings).dnn.config == names["GatedConfig"](width=96)


def test_commands_of_the_features_page(run, checkout):
    """Those of `asr` are run; the others only install."""
    commands = [line[2:] for _, code in blocks(FEATURES, "console") for line in code.splitlines() if line[:2] == "$ "]
    assert any(command.startswith("asr ") for command in commands)
    for command in commands:
        program, *arguments = shlex.split(command)
        if program != "asr":
            assert arguments[:3] == ["-m", "pip", "install"], command
            continue
        done = run(*arguments)
        assert done.status == 0, f"{command}\n{done.err}"
    assert list(checkout.glob("feats/*.npy"))


def end_of_the_demo() -> str:
    (found,) = [code for _, code in blocks("docs/pages/recipes.md", "console") if code.startswith("| model | features")]
    return found


def test_the_demos_table_is_as_results_are_printed():
    """From its own numbers the table comes out as it stands there."""
    from asr.report.results import ResultRow, results_table

    table = end_of_the_demo().partition("\n\n")[0]
    model, features, variant, adaptation, test, *numbers = [c.strip() for c in table.splitlines()[2].split("|")[1:-1]]
    seed, value, counts, sub, deleted, inserted, seconds, rtf = numbers
    errors, total = map(int, counts.split("/"))
    assert f"{100 * errors / total:.2f}" == value and errors == int(sub) + int(deleted) + int(inserted)
    row = ResultRow(
        model, features, variant, adaptation, test, "wer", int(seed), float(value), errors, total, float(seconds),
        float(rtf), int(sub), int(deleted), int(inserted),
    )  # fmt: skip
    assert results_table([row]) == table


def masked(text: str) -> list[str]:
    """The lines of the demo's end without what differs between machines: numbers, and which words were said."""
    text = re.sub(r"(said|recognised)  .*", r"\1  WORDS", text.strip())
    return [re.sub(r"-+", "-", re.sub(r" +", " ", re.sub(r"[\d.]+", "0", line))) for line in text.splitlines()]


@pytest.mark.slow
def test_the_demo_ends_as_the_page_says(tmp_path):
    """All of it, but for the numbers; the error rate is a few percent."""
    pytest.importorskip("espeakng_loader")
    pytest.importorskip("matplotlib")
    command = [sys.executable, str(ROOT / "recipes" / "digits" / "demo.py"), "--out", "build/demo"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stderr
    assert masked(done.stdout) == masked(end_of_the_demo())
    (rate,) = re.findall(r"\| +\d+ \| +([\d.]+) \| +\d+/\d+", done.stdout)
    assert float(rate) < 8


def options_table() -> list[list[str]]:
    """The cells of the features page's table of options: name, default, Kaldi's, librosa's, remarks."""
    text = (ROOT / FEATURES).read_text(encoding="utf-8").split("## Every option")[1].split("`vtln_warp=`")[0]
    return [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]


def test_the_features_page_has_every_option_with_its_default():
    from asr.features.front_ends import FRONT_ENDS
    from asr.options import field_names

    table = {name: cells[1] for cells in options_table() for name in re.findall(r"`(\w+)`", cells[0])}
    for kind, front_end in FRONT_ENDS.items():
        for name in field_names(front_end.options):
            assert name in table, f"{kind}: {name}"
    for name, value in vars(FRONT_ENDS["mfcc"].options()).items():
        shown = table[name].split("Hz")[0].split("ms")[0].split(";")[0].strip()
        expected = f"{value:g}" if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
        assert expected in shown.split(", "), f"{name}: {shown} is {expected}"


def test_the_features_page_has_librosas_names_and_defaults():
    librosa = pytest.importorskip("librosa")
    functions = (librosa.filters.mel, librosa.feature.melspectrogram, librosa.feature.mfcc)
    known = {name: p.default for f in functions for name, p in inspect.signature(f).parameters.items()}
    claims = [claim for cells in options_table() for claim in re.findall(r"`(\w+)` \(([^ )]+)", cells[3])]
    assert len(claims) >= 10
    for name, default in claims:
        if default != "2048" or name != "win_length":  # None, which stands for n_fft
            number = isinstance(known[name], (int, float)) and not isinstance(known[name], bool)
            assert (f"{known[name]:g}" if number else str(known[name])) == default, name


@pytest.mark.parametrize(
    "page", ["README.md", *sorted(f"docs/pages/{p.name}" for p in (ROOT / "docs/pages").glob("*.md"))]
)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", text):
        assert ((ROOT / page).parent / target).exists(), f"{page}: {target}"
