import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest

from asr.errors import AsrError
from asr.recipe import ResultRow
from asr.report import (
    Section,
    alignment_section,
    check_plotting,
    comparison_section,
    confusion_section,
    edge_section,
    network_section,
    results_section,
    run_facts,
    speaker_section,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from asr.report.sections import align_words
from asr.scoring import Comparison
from asr.word_edges import EdgeDifference, EdgeScore

EVIL = "<script>alert('1 & 2')</script>"
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and checks that tags are closed in order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

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
        confusion_section({("one", "nine"): 3, ("one", None): 1, (None, EVIL): 2, ("two", "two"): 50}),
        utterance_section({"a": f"one {EVIL}", "b": "two", "c": "three"}, {"a": "one nine", "b": "two"}),
        edge_section(EdgeScore((EdgeDifference("u", EVIL, 0.01, 0.02), EdgeDifference("u", "x", 0.0, -9.0)), 3)),
        tuning_section({"scale": {"mono": [(0.2, 4.0), (0.1, 3.0)]}}, chosen={"scale": {"mono": 0.1}}),
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
    write_report(path, title=f"digits {EVIL}", sections=sections, facts=run_facts(seed=7, corpus=EVIL), lead=EVIL)
    return path.read_text(encoding="utf-8")


def test_page_is_well_formed_and_shows_everything(page_text, sections):
    page = Page(page_text)
    text = " ".join(page.text)
    for section in sections:
        assert section.title in text
    for shown in ("official", "21.0", "(deleted)", "seed", "numpy", "own content", "3/20"):
        assert shown in text
    assert "2 of 3 utterances have an error" in text
    assert page.tags.count("svg") == 7


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
    assert "bad" in section.html and "good" not in section.html and "<code>ok" not in section.html
    assert "2 of 3 utterances have an error; the worst 1" in section.html


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


def test_no_errors_need_no_plot():
    assert "No errors" in confusion_section({("one", "one"): 4}).html


def test_facts_name_seed_and_versions():
    facts = run_facts(seed=3, training_data="FSDD")
    assert facts["seed"] == "3" and facts["training data"] == "FSDD" and "numpy" in facts["versions"]


def test_missing_matplotlib_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(AsrError, match=r"pip install 'hclg\[demo\]'"):
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
