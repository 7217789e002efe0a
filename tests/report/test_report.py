import base64
import io
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import jinja2
import markupsafe
import numpy as np
import pytest
import soundfile

import asr
import asr.report
from asr.corpus import Utterance
from asr.errors import AsrError
from asr.report import (
    Headline,
    Player,
    Section,
    alignment_section,
    check_plotting,
    comparison_section,
    confusion_section,
    doubtful_section,
    edge_section,
    glossary_section,
    headline,
    list_section,
    network_section,
    results_section,
    run_facts,
    speaker_section,
    stages_section,
    system_in_words,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from asr.report.page import rendered
from asr.report.results import ResultRow
from asr.report.sections import align_words
from asr.report.sound import audio_element
from asr.scoring import Comparison, score
from asr.scoring.edges import EdgeDifference, EdgeScore
from asr.train.tuning import TuningPoint, best_point, plateau

EVIL = "<script>alert('1 & 2')</script>\" onclick=x"
ESCAPED = str(markupsafe.escape(EVIL))
TEMPLATES = Path(asr.report.__file__).parent / "templates"
STYLE = (TEMPLATES / "style.css").read_text(encoding="utf-8")
SAID, HEARD = {"a": "one two three", "b": "four"}, {"a": "one too three", "b": ""}
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.outside = []  # tables and pictures that could be wider than the screen, and do not scroll
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        kind = dict(attrs).get("class") or ""
        if tag in ("table", "svg") and kind not in ("bars", "facts") and "scroll" not in [k for _, k in self.open]:
            self.outside.append((tag, kind))
        if tag not in VOID:
            self.open.append((tag, kind))

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop()[0] == tag

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def sections():
    pytest.importorskip("matplotlib")
    rng = np.random.default_rng(0)
    row = ResultRow("mono", "mfcc", EVIL, "none", "official", "wer", 0, 1.0, 3, 300, 21.0, 0.01)
    logs = {"mono": [(i, -100 + i, 30 + i) for i in range(5)], EVIL: [(0, -90.0, 12)]}
    return [
        results_section([row], note=EVIL),
        training_section(logs),
        speaker_section({"ann": (3, 20), EVIL: (0, 5), "silent": (0, 0)}),
        confusion_section(
            {("one", "nine"): 3, ("one", None): 1, (None, EVIL): 2, ("two", "two"): 50}
            | {("two", w): 1 for w in ("a", "b", "c")},
            about=EVIL,
        ),
        utterance_section({"a": f"one {EVIL}", "b": "two", "c": "three"}, {"a": "one nine", "b": "two"}, about=EVIL),
        doubtful_section([(EVIL, EVIL, EVIL, audio_element(np.zeros(800, np.float32), 8000, EVIL))], lead=EVIL),
        stages_section({EVIL: {"mono": score(SAID, HEARD), EVIL: score(SAID, SAID)}}, about=EVIL),
        glossary_section(["WER"], {EVIL: EVIL}),
        edge_section(EdgeScore((EdgeDifference("u", EVIL, 0.01, 0.02), EdgeDifference("u", "x", 0.0, -9.0)), 3)),
        tuning_section([TuningPoint(0.2, 0.0, 4, 100), TuningPoint(0.1, 0.0, 3, 100)], about=EVIL),
        alignment_section(
            rng.standard_normal(8000).astype(np.float32) / 10,
            8000,
            phones=[("SIL", 0, 0.2), ("W", 0.2, 0.4), (EVIL, 0.4, 0.8)],
            words=[("one", 0.2, 0.8)],
            name=EVIL,
        ),
        Section("own <section>", "<p>own content</p>"),
    ]


@pytest.fixture(scope="module")
def page_text(sections, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    top = Headline(EVIL, EVIL, (EVIL, "so"), (EVIL, EVIL))
    facts = run_facts(seed=7, corpus=EVIL)
    write_report(path, title=f"digits {EVIL}", sections=sections, facts=facts, lead=EVIL, headline=top)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_shows_everything(page_text, sections):
    page = Page(page_text)
    text = " ".join(page.text)
    for section in sections:
        assert section.title in text
    for shown in ("official", "21.0", "(deleted)", "seed", "numpy", "own content", "3/20", "Word error rate"):
        assert shown in text
    assert "2 of 3 utterances have an error" in text
    assert page.tags.count("svg") == 2 + 1 + 1 + 1 + 2 + 1  # training, confusions, edges, stages, tuning, alignment
    assert page.tags.count("audio") == 1


def test_nothing_of_a_page_is_wider_than_a_phone(page_text):
    """Tables and pictures scroll within a box; what else could be long is broken into lines by the style."""
    assert Page(page_text).outside == []
    assert '<meta name="viewport" content="width=device-width, initial-scale=1">' in page_text
    rules = {name.strip(): rule for name, rule in re.findall(r"([^{}]+)\{([^{}]*)\}", STYLE)}
    assert "overflow-x: auto" in rules[".scroll"] and "overflow-wrap" in rules["code, pre"] + rules[".facts td"]
    assert "max-width: 100%" in rules["figure svg"] and "flex-wrap: wrap" in rules[".pairs"]
    assert "columns: 2" in rules[".columns"]
    narrow = STYLE.partition("@media (max-width")[2]
    assert "th, td:not(.number) { white-space: normal; }" in narrow  # so a table of words and numbers fits a phone


def test_words_of_commands_and_percentages_are_not_torn(tmp_path):
    steps = ["Hear <them>: `asr train a b --held-out <speaker>`."]
    shown = list_section("What to do next", steps, commands=True).html
    assert shown.startswith("<ul>\n<li>Hear &lt;them&gt;: <code") and shown.endswith("</code>.</li>\n</ul>")
    assert "`asr train" in list_section("The data", steps).html  # where nobody speaks of commands
    assert re.findall("<span>(.*?)</span>", shown) == ["asr", "train", "a", "b", "--held-out", "&lt;speaker&gt;"]
    assert "inline-block" in STYLE.partition(".command span")[2].partition("}")[0]
    write_report(
        tmp_path / "x.html", title="t", facts={"share": "4.31 % of all"}, sections=[],
        headline=Headline("82.5 %", "words", ("Up to 1.29 % could have hidden.",)),
    )  # fmt: skip
    text = (tmp_path / "x.html").read_text(encoding="utf-8")
    assert all(kept in text for kept in ("82.5\u00a0%", "1.29\u00a0% could", "4.31\u00a0% of all"))
    assert not re.search(r"\d %", text)


def test_sections_stand_in_two_columns_unless_they_are_wide_or_alone(tmp_path):
    many = [Section("a", "A"), Section("b", "B"), Section("c", "C", wide=True), Section("d", "D")]
    write_report(tmp_path / "x.html", title="t", sections=many, facts={})
    body = (tmp_path / "x.html").read_text().partition("<main>")[2]
    assert body.count('class="columns"') == 2  # a and b; d and the run's facts
    assert [len(re.findall("<section", part)) for part in body.split('class="columns"')] == [0, 3, 2]
    write_report(tmp_path / "x.html", title="t", sections=many[:3], facts={})
    body = (tmp_path / "x.html").read_text().partition("<main>")[2]
    assert body.count('class="columns"') == 1


def test_page_loads_nothing(page_text):
    page = Page(page_text)
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    for name, value in page.attributes:
        if name in ("src", "href", "xlink:href", "data", "srcset", "action"):
            assert value.startswith(("#", "data:")), (name, value)
        assert not name.startswith("on")
    assert not re.search(r"https?://|@import|url\((?!#)", page_text)
    assert len(page_text) < 2_000_000


def test_data_is_escaped(page_text):
    assert "<script" not in page_text
    assert page_text.count("&lt;script&gt;") >= 8


def test_what_is_not_escaped_is_markup_of_our_own():
    """`safe` in a template lets markup through: only what a plot, a player or another template has made."""
    made = {"section.html", "svg", "sound", "utterance.sound"}
    texts = {path.name: path.read_text(encoding="utf-8") for path in TEMPLATES.glob("*.html")}
    unescaped = {found for text in texts.values() for found in re.findall(r"\{\{ *([^}]*?) *\| *safe", text)}
    assert unescaped == made and "autoescape" not in "".join(texts.values())


def test_an_installed_package_has_the_templates():
    """Files that are no code come along only where pyproject.toml names them."""
    tomllib = pytest.importorskip("tomllib")
    package = Path(asr.__file__).parent
    text = (package.parent / "pyproject.toml").read_text(encoding="utf-8")
    patterns = tomllib.loads(text)["tool"]["setuptools"]["package-data"]["asr"]
    packaged = {path for pattern in patterns for path in package.glob(pattern)}
    assert set(TEMPLATES.iterdir()) <= packaged and len(set(TEMPLATES.iterdir())) > 10


def test_a_value_that_a_template_lacks_is_an_error():
    with pytest.raises(jinja2.UndefinedError, match="text"):
        rendered("note", txt="a slip")


def test_plots_are_described_and_their_ids_differ(page_text):
    svgs = re.findall(r"<svg.*?</svg>", page_text, flags=re.DOTALL)
    for svg in svgs:
        assert 'role="img"' in svg and re.search(r'aria-label="[^"]{20,}', svg) and "<title>" in svg
        ids = set(re.findall(r'\sid="([^"]+)"', svg))
        assert set(re.findall(r"(?:url\(|href=\")#([^)\"]+)", svg)) <= ids
    ids = re.findall(r'\sid="([^"]+)"', page_text)
    assert len(ids) == len(set(ids))
    assert "#010203" not in page_text and "currentColor" in page_text


def test_the_same_data_make_the_same_plot():
    pytest.importorskip("matplotlib")
    from asr.report.plots import line_plot

    plots = {line_plot({"a": ([1, 2], [3, 4])}, title="t", x_label="x", y_label="y") for _ in range(2)}
    assert len(plots) == 1


def test_align_words():
    assert align_words(["a", "b", "c"], ["a", "x", "c", "d"]) == [("a", "a"), ("b", "x"), ("c", "c"), ("", "d")]
    assert align_words([], ["a"]) == [("", "a")]
    assert align_words(["a"], []) == [("a", "")]
    assert align_words([], []) == []


def test_worst_utterances_come_first():
    section = utterance_section({"good": "a b", "bad": "a b c", "ok": "a"}, {"good": "a b", "ok": "b"}, limit=1)
    assert "<code>bad" in section.html and "good" not in section.html and "<code>ok" not in section.html
    assert "2 of 3 utterances have an error; the worst 1" in section.html


def test_what_is_no_word_is_not_called_one():
    units = utterance_section({"a": "m b a"}, {"a": "m b"}, unit="unit").html
    assert "1 error, 3 units" in units and "word" not in re.sub("<[^>]*>", "", units)
    assert "Errors and units said" in speaker_section({"a": (1, 20)}, unit="unit").html
    assert "1 error, 3 words" in utterance_section({"a": "m b a"}, {"a": "m b"}).html
    assert "Errors and words said" in speaker_section({"a": (1, 20)}).html


def test_edges_have_a_histogram_and_their_table():
    pytest.importorskip("matplotlib")
    words = tuple(EdgeDifference("u", EVIL, 0.001 * k, -0.3) for k in range(40))
    section = edge_section(EdgeScore(words, 50), title="edges")
    assert "40 of 50 words" in section.html and section.html.count("<svg") == 1
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", section.html)
    assert cells[:8] == ["starts", "40", "27.5", "52.5", "100.0", "100.0", "+19.5", "19.5"]
    assert cells[8:16] == ["ends", "40", "0.0", "0.0", "0.0", "0.0", "-300.0", "300.0"]
    assert EVIL not in section.html
    assert "No word" in edge_section(EdgeScore((), 50)).html


def test_few_confusions_need_no_matrix():
    assert "No errors" in confusion_section({("one", "one"): 4}).html
    single = confusion_section({("one", "nine"): 4}, about="monophones")
    assert "<svg" not in single.html and "nine" in single.html and single.about == "monophones"


def test_speakers_without_errors_are_summed():
    counts = {f"s{k}": (0, 30) for k in range(24)} | {"ann": (3, 30), "bob": (6, 30), "none": (0, 0)}
    shown = speaker_section(counts).html
    assert shown.count('class="bar"') == 2 and "24 speakers without an error" in shown
    assert shown.index("bob") < shown.index("ann") and "width:100.0%" in shown and "width:50.0%" in shown
    assert "s7" not in shown


def test_a_single_error_is_no_long_bar_and_none_is_no_axis():
    assert re.findall(r"width:([0-9.]+)%", speaker_section({"ann": (1, 200), "bob": (0, 200)}).html) == ["10.0"]
    nothing = speaker_section({"ann": (0, 100), "bob": (0, 132)}).html
    assert "bar" not in nothing and "No error in 232 of 2 speakers." in nothing


def test_many_speakers_are_cut_off():
    shown = speaker_section({f"s{k:02}": (k + 1, 100) for k in range(40)}).html
    assert shown.count('class="bar"') == 25 and "15 more speakers with at most 15.0 %." in shown


def described(svg):
    return re.findall(r'aria-label="([^"]*)"', svg)


def test_likelihoods_of_other_features_have_axes_of_their_own():
    pytest.importorskip("matplotlib")
    logs = {"mono": [(0, -100.0, 30), (1, -90.0, 40)], "sat": [(0, -50.0, 60), (1, -45.0, 70)]}
    apart = described(training_section(logs, same_features=False).html)
    assert len(apart) == 3 and "-100" in apart[0] and "-50" not in apart[0] and "-50" in apart[1]
    together = described(training_section(logs).html)
    assert len(together) == 2 and "-100" in together[0] and "-50" in together[0]


GRID = [TuningPoint(a, p, e, 1000) for (a, p), e in {
    (0.05, 0.0): 130, (0.1, 0.0): 104, (0.2, 0.0): 109,
    (0.05, 2.0): 120, (0.1, 2.0): 100, (0.2, 2.0): 110,
    (0.05, 4.0): 140, (0.1, 4.0): 111, (0.2, 4.0): 150,
}.items()]  # fmt: skip


def test_the_plateau_of_tuning_is_drawn_and_explained():
    """Equal within chance: up to 100 + sqrt(100) errors, which four settings have."""
    pytest.importorskip("matplotlib")
    assert {(p.acoustic_scale, p.insertion_penalty) for p in plateau(GRID)} == {
        (0.1, 0.0), (0.2, 0.0), (0.1, 2.0), (0.2, 2.0),
    }  # fmt: skip
    best, shown = best_point(GRID), tuning_section(GRID, about="monophones").html
    assert len(re.findall(r'<td class="even', shown)) == 4 and shown.count("even chosen") == 1
    assert re.search(rf'<td class="even chosen">{best.rate:.1f}</td>', shown)
    assert "The fewest of the 9 settings tried is 100, but 4 are as good within chance" in shown
    assert f"insertion penalty {best.insertion_penalty:g}, with {best.errors} errors in 1,000 words" in shown


def test_tuning_says_where_more_should_be_tried():
    pytest.importorskip("matplotlib")
    rising = [TuningPoint(scale, 0.0, 400 + round(2000 * scale), 1000) for scale in (0.05, 0.1, 0.2)]
    told = tuning_section(rising).html
    assert "It has the fewest of the 3 settings tried, by more than chance." in told
    assert "the acoustic scale, 0.05, is the smallest that was tried: beyond it may be better" in told
    assert "beyond it" not in tuning_section(GRID).html


def test_an_axis_without_any_error_is_one_of_whole_percents(monkeypatch):
    pytest.importorskip("matplotlib")
    seen = []
    from asr.report import curves

    monkeypatch.setattr(curves, "line_plot", lambda *_, **options: seen.append(options["limits"]) or "<svg></svg>")
    tuning_section([TuningPoint(scale, 0.0, 0, 250) for scale in (0.05, 0.1, 0.2)])
    assert seen == [(0.0, 2.4)] * 2
    seen.clear()
    tuning_section([TuningPoint(scale, 0.0, 2250 + k, 5330) for k, scale in enumerate((0.05, 0.1, 0.2))])
    assert all(high - low > 5 for low, high in seen)  # a difference of one error is no mountain


def test_what_lies_on_the_lower_limit_of_an_axis_is_seen(monkeypatch):
    pytest.importorskip("matplotlib")
    from asr.report import plots

    seen = []
    monkeypatch.setattr(plots, "as_svg", lambda figure, _: seen.append(figure.axes[0]) or "")
    line = {"a": ([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])}
    plots.line_plot(line, title="t", x_label="x", y_label="y", marked={"a": 2.0}, limits=(0.0, 2.4))
    low, high = seen[0].get_ylim()
    assert -0.2 < low < 0 and high == 2.4
    ring = seen[0].lines[-1]
    assert list(ring.get_xdata()) == [2.0] and not ring.get_clip_on()


def test_the_headline_says_what_the_number_means():
    said = {str(k): "one two three four five six seven eight nine ten" for k in range(20)}
    heard = {k: text.replace("one", "won") if int(k) % 2 else text for k, text in said.items()}
    top = headline(score(said, heard), "20 recordings")
    assert (top.value, top.label) == ("5.0 %", "word error rate")
    assert top.sentences[0] == "About 1 in 20 words is wrong: 10 errors in 200 words of 20 recordings."
    assert re.fullmatch(
        r"By chance alone, other recordings like these would give [0-9.]+ to [0-9.]+ %\.", top.sentences[1]
    )
    none = headline(score(said, said), "20 recordings")
    assert none.value == "0 %" and none.sentences[0].startswith("Nothing is wrong")
    assert "up to 1.50 %" in none.sentences[1]  # three in 200
    third = headline(score({"a": "one two three four", "b": "five six"}, {"a": "one two three four"}), "2 recordings")
    assert third.value == "33.3 %"  # as in the tables
    most = headline(score(said, {}), "20 recordings")
    assert most.sentences[0].startswith("About 10 in 10 words are wrong") and "Too many" in most.sentences[-1]


def test_the_headline_stands_on_the_page(page_text):
    assert f'<span class="value">{ESCAPED}</span>' in page_text and f'<p class="meaning">{ESCAPED} so</p>' in page_text


def test_sections_name_their_system(page_text):
    assert page_text.count(f'<p class="about">{ESCAPED}</p>') == 4  # confusions, worst utterances, stages, tuning
    row = ResultRow("mono", "mfcc", "causal", "none", "official", "wer", 0, 1.0, 3, 300, 21.0, 0.01)
    assert system_in_words(row) == "monophones on MFCC (causal), without adaptation"


def test_errors_from_stage_to_stage_tell_whether_the_last_was_worth_it():
    pytest.importorskip("matplotlib")
    said = {str(k): "one two three four" for k in range(60)}
    bad = {k: "one two too four" if int(k) % 2 else text for k, text in said.items()}
    worse = dict.fromkeys(said, "one too too four")
    sure = stages_section({"words": {"mono": score(said, worse), "tri": score(said, bad)}}).html
    assert "to triphones: -37.5 points of words (more than chance)" in sure
    same = stages_section({"words": {"mono": score(said, bad), "tri": score(said, bad)}}).html
    assert "+0.0 points of words (may be chance)" in same
    assert "monophones 50.0, triphones 12.5" in described(sure)[0]


def sounds(text):
    return [base64.b64decode(data) for data in re.findall(r'src="data:audio/[a-z]+;base64,([^"]+)"', text)]


def test_recordings_can_be_heard(tmp_path):
    time = np.arange(48000 * 3) / 48000
    soundfile.write(tmp_path / "a.wav", 0.5 * np.sin(2 * np.pi * 440 * time), 48000)
    part = Utterance("a", "ann", tmp_path / "a.wav", "one", start=1.0, end=2.0)
    shown = utterance_section({"a": "one"}, {"a": "two"}, play=lambda _: Player().play(part)).html
    (data,) = sounds(shown)
    samples, rate = soundfile.read(io.BytesIO(data))
    assert rate == 16000 and len(samples) / rate == pytest.approx(1.0, abs=0.1)
    assert abs(np.argmax(np.abs(np.fft.rfft(samples[4000:8000]))) * 4 - 440) <= 4
    assert len(data) < 10_000


def test_sound_has_a_limit_and_what_cannot_be_read_is_left_out(tmp_path):
    noise = np.random.default_rng(0).standard_normal(8000 * 60) / 5
    soundfile.write(tmp_path / "a.wav", noise, 8000)
    long = Utterance("a", "ann", tmp_path / "a.wav", "one")
    limit = round(2.5 * len(Player().play(long)))
    player = Player(limit)
    played = [player.play(long) for _ in range(4)]
    assert [bool(p) for p in played] == [True, True, False, False] and sum(map(len, played)) <= limit
    (data, *_) = sounds(played[0])
    assert soundfile.info(io.BytesIO(data)).duration < 21  # a minute is cut
    assert Player().play(Utterance("b", "ann", tmp_path / "missing.wav", "one")) == ""
    assert Player().play(Utterance("c", "ann", None, "one")) == Player().play(None) == ""


def test_without_mp3_sound_is_wav(monkeypatch):
    monkeypatch.setattr(soundfile, "available_formats", lambda: {"WAV": ""})
    (data,) = sounds(audio_element(np.zeros(800, np.float32), 8000, "a"))
    assert data.startswith(b"RIFF")


def test_facts_name_seed_and_versions():
    facts = run_facts(seed=3, training_data="FSDD")
    assert facts["seed"] == "3" and facts["training data"] == "FSDD" and "numpy" in facts["versions"]


def test_missing_matplotlib_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AsrError, match=r"pip install --editable '.*\[demo\]'"):
        check_plotting()


def test_curves_of_networks_are_drawn():
    pytest.importorskip("matplotlib")
    numbers = {"train_loss": 2.0, "held_out_loss": 2.5, "train_accuracy": 0.4, "held_out_accuracy": 0.3}
    section = network_section({"dnn": [{"epoch": i, **numbers} for i in (1, 2)], EVIL: [{"epoch": 1, **numbers}]})
    assert section.html.count("<svg") == 2
    text = "".join(Page(section.html).text)
    assert "Loss a frame" in text and "dnn, held out" in text and f"{EVIL}, train" in text


def test_comparisons_are_a_table(tmp_path):
    pair = Comparison(difference=-1.126, low=-2.13, high=-0.18, better=0.991)
    section = comparison_section([("mono <a> PER", "tri PER", pair)], note="why")
    assert "mono &lt;a&gt; PER</td><td>tri PER" in section.html and "why" in section.html
    assert all(shown in section.html for shown in ("-1.13", "-2.13 to -0.18", "99.1 %"))
