"""The page that asr train leaves: what came out, what it means, what to listen to, what to do next.

Trained on synthesised digits, of which some transcripts are exchanged on purpose.
"""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from asr.corpus import Corpus
from asr.recipe.own_data import planned
from asr.recipe.own_evidence import earlier_in_words
from asr.recipe.own_outcome import Outcome
from asr.recipe.own_report import doubtful, next_steps
from asr.recipe.own_training import train_recogniser
from asr.scoring import score
from asr.train.stage import TrainedStage


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """84 strings of digits, and the ids of five whose transcripts are another one's."""
    pytest.importorskip("espeakng_loader")
    from asr.audio.synth import synthesise_digits

    folder = tmp_path_factory.mktemp("speech") / "digits"
    synthesise_digits(folder, n_train_voices=6, n_test_voices=1, train_utterances=14, test_utterances=1)
    corpus = Corpus.read(folder / "train")
    by_length = sorted(corpus, key=lambda u: (len(u.text.split()), u.id))
    held_out = {u.id for u in planned(corpus, held_out="10").held_out}
    wrong = [u for u in by_length if len(u.text.split()) >= 4 and u.id not in held_out][::5][:5]
    texts = dict(zip((u.id for u in wrong), (u.text for u in wrong[1:] + wrong[:1]), strict=True))
    assert all(texts[u.id].split() != u.text.split() for u in wrong)
    return Corpus([replace(u, text=texts.get(u.id, u.text)) for u in corpus]), set(texts)


@pytest.fixture(scope="module")
def trained(recordings, tmp_path_factory):
    pytest.importorskip("matplotlib")
    out = tmp_path_factory.mktemp("recogniser") / "out"
    plan = planned(recordings[0], stages=("mono", "tri"), held_out="10")
    return plan, out, train_recogniser(plan, out)


def test_exchanged_transcripts_are_the_doubtful_ones(trained, recordings):
    _, out, _ = trained
    evidence = json.loads((out / "work" / "evidence" / "value.json").read_text(encoding="utf-8"))
    known = evidence["fit"]
    assert all(value <= 0 for value in known.values())
    worst = [*evidence["unaligned"], *sorted(known, key=known.get)]
    assert recordings[1] <= set(worst[:10])
    found = [doubt.id for doubt in doubtful(known, evidence["unaligned"])]
    assert len(recordings[1] & set(found)) >= 4 and len(found) <= 10
    page = (out / "report.html").read_text(encoding="utf-8")
    shown = page.partition("Doubtful transcripts</h2>")[2].partition("</section>")[0]
    assert all(name in shown for name in found) and shown.count("<audio") == len(found)


def test_errors_after_each_stage_are_on_the_page(trained):
    plan, out, outcome = trained
    evidence = json.loads((out / "work" / "evidence" / "value.json").read_text(encoding="utf-8"))
    heard = evidence["recognised"]["mono"]
    assert set(heard) == set(plan.held_out.ids)
    monophones = score(plan.held_out.transcripts(), heard).rate
    page = (out / "report.html").read_text(encoding="utf-8")
    (told,) = re.findall(r'aria-label="(Errors after each stage[^"]*)"', page)
    wer, cer = outcome.rows["speaker's recordings together"]
    assert f"words: monophones {monophones:.1f}, triphones {wer:.1f}" in told and f"triphones {cer:.1f}" in told


def test_the_page_is_whole(trained):
    plan, out, _ = trained
    page = (out / "report.html").read_text(encoding="utf-8")
    titles = re.findall(r"<h2[^>]*>([^<]*)</h2>", page)
    assert '<code class="command"><span>--held-out</span> <span>speaker:' in page
    assert titles[0] == "What to do next" and {
        "Error from stage to stage", "Errors on the recordings held out", "One recording from near",
        "Doubtful transcripts", "Tuning on held-out speech", "Training, pass by pass", "The words of this page",
    } < set(titles)  # fmt: skip
    assert f"<h1>A recogniser of {plan.lexicon.n_words} words</h1>" in page
    assert (
        "10 recordings that it was not trained on, of people that it has heard in training (each half decoded with"
        in page
    )
    assert page.count('class="about">Triphones, on the utterances held out') >= 2
    assert "pitch (Hz)" in page and len(page) < 3_000_000
    assert not re.search(r"<script|https?://", page)


def test_doubtful_are_those_far_below_the_others():
    usual = {f"u{k}": -1.0 - 0.01 * (k % 10) for k in range(100)}
    assert doubtful(usual, {}) == []
    found = doubtful({**usual, "far": -3.0, "farther": -4.0}, {"none": "too short; record it anew"})
    assert [d.id for d in found] == ["none", "farther", "far"]
    assert found[0].why == "not aligned: too short" and found[1].why == "fit -4.00"
    assert doubtful({"a": -1.0, "b": -9.0}, {}) == []  # two tell nothing


def test_an_earlier_stage_that_is_better_is_told_with_how_sure_that_is():
    said = {f"u{k}": "one two three" for k in range(20)}
    wrong = dict.fromkeys(said, "one two")
    few = {**said, "u0": "one two"}
    assert earlier_in_words(said, {"mono": wrong, "tri": few, "sat": few}) == ""
    told = earlier_in_words(said, {"mono": wrong, "tri": said, "sat": few})
    assert "after tri 0.0 % of the held-out characters were wrong, after sat 2.3 %, which may be chance" in told
    assert told.endswith("`--stages mono,tri` stops there.")
    assert "more than chance makes" in earlier_in_words(said, {"mono": said, "tri": wrong})
    outcome = Outcome(Path("m"), None, {"x": (1.0, 1.0)}, 4, 20, hours=0.1, earlier=told)
    assert outcome.table().endswith("--stages mono,tri stops there.")


def test_what_to_do_next_depends_on_what_there_is(recordings, tmp_path):
    plan = planned(recordings[0], held_out="10")
    outcome = Outcome(tmp_path / "my model", None, {"x": (1.0, 1.0)}, 40, 200, hours=0.1)
    steps = "\n".join(next_steps(plan, outcome, 0))
    assert f"`asr transcribe '{tmp_path}/my model' FILE ...`" in steps and "6 minutes of speech are little" in steps
    short = "\n".join(next_steps(plan, replace(outcome, hours=46 / 3600), 0))
    assert "46 seconds of speech are little" in short
    assert "doubtful" not in steps and "--lm-text" not in steps and "--held-out speaker:" in steps
    much = "\n".join(next_steps(plan, replace(outcome, hours=9.0), 3))
    assert "minutes of speech" not in much and "Listen to the 3 doubtful transcripts" in much
    new = Corpus([replace(u, text=f"{u.text} ten") if u.id in plan.held_out else u for u in recordings[0]])
    assert "--lm-text FILE" in "\n".join(next_steps(planned(new, held_out="10"), outcome, 0))
    alone = Corpus([replace(u, speaker=u.id) for u in recordings[0]])
    assert "--speaker PATTERN" in "\n".join(next_steps(planned(alone, held_out="10"), outcome, 0))
    ctc = replace(plan, stages=("ctc",))
    assert "Leave out `--stages ctc`" in "\n".join(next_steps(ctc, outcome, 0))
    assert "Leave out" not in "\n".join(next_steps(ctc, replace(outcome, hours=9.0), 0))


def test_a_stage_without_alignments_is_read_again(digits_model, tmp_path):
    """As a network with CTC leaves it."""
    TrainedStage(digits_model, {}, {"u": "too short"}, []).save(tmp_path / "ctc")
    found = TrainedStage.load(tmp_path / "ctc")
    assert found.alignments == {} and found.failures == {"u": "too short"}
