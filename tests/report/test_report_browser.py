"""The page of a report in a browser, as wide as a desktop and as narrow as a phone; where there is a Chromium."""

import html
import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from asr.report import (
    Headline,
    Section,
    alignment_section,
    confusion_section,
    list_section,
    results_section,
    run_facts,
    speaker_section,
    stages_section,
    training_section,
    tuning_section,
    utterance_section,
    write_report,
)
from asr.report.results import ResultRow
from asr.report.sections import table
from asr.scoring import score
from asr.train.tuning import TuningPoint

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LONG = "Ein_sehr_langer_Name_einer_Aufnahme_" * 4
SAID, HEARD = {LONG: "one two " * 20, "b": "four"}, {LONG: "one too " * 20, "b": ""}

MEASURE = """<!doctype html><meta charset="utf-8"><body style="margin:0"><iframe id="page" src="report.html"
style="border:0;width:{width}px;height:800px"></iframe><pre id="found"></pre><script>
page.onload = () => {{
  const at = page.contentDocument.documentElement;
  const all = kind => [...at.querySelectorAll(kind)];
  const right = x => x.getBoundingClientRect().right, left = x => Math.round(x.getBoundingClientRect().left);
  const wide = all("body *").filter(x => !x.closest(".scroll, nav, svg *") && right(x) > at.clientWidth + 1);
  const scrolling = all(".scroll > table").filter(x => x.scrollWidth > x.parentElement.clientWidth + 1);
  const torn = all(".command span").filter(x => x.getBoundingClientRect().height > 30);
  found.textContent = JSON.stringify({{
    page: at.scrollWidth,
    wide: wide.map(x => x.outerHTML.slice(0, 60)),
    scrolling: scrolling.map(x => x.closest("section").querySelector("h2").textContent),
    torn: torn.map(x => x.textContent),
    columns: new Set(all(".columns section").map(left)).size,
  }});
}};</script>"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("matplotlib")
    if BROWSER is None:
        pytest.skip("no Chromium here")
    made = tmp_path_factory.mktemp("page")
    row = ResultRow("mono", "mfcc", "", "none", "official", "wer", 0, 1.0, 3, 300, 21.0, 0.01)
    steps = ["What unseen speakers would get: `asr train recordings mine --held-out speaker:george`"]
    grid = [TuningPoint(a, p, 9, 47) for a in (0.05, 0.0667, 0.0833, 0.1, 0.125) for p in (-2.0, 0.0, 2.0)]
    errors = table(
        [("recognised", ""), ("WER, %", "number"), ("CER, %", "number")],
        [["speaker's recordings together", "16.67", "19.15"], ["each recording alone", "25.00", "25.53"]],
    )
    samples = np.random.default_rng(0).standard_normal(8000).astype(np.float32) / 10
    write_report(
        made / "report.html",
        title=f"A page of {LONG}",
        headline=Headline("82.5 %", "word error rate", ("Too many to read the transcripts.",)),
        facts=run_facts(seed=0, model=LONG),
        sections=[
            list_section("What to do next", steps, commands=True),
            Section("Errors on the recordings held out", errors),
            stages_section({"words": {"mono": score(SAID, HEARD), "tri": score(SAID, SAID)}}),
            results_section([row]),
            utterance_section(SAID, HEARD),
            alignment_section(samples, 8000, phones=[("SIL", 0, 0.2)], words=[("one", 0.2, 0.8)], name=LONG),
            confusion_section({("one", "nine"): 3, ("one", None): 1}),
            speaker_section({LONG: (3, 20), "bob": (1, 20)}),
            tuning_section(grid),
            training_section({"mono": [(0, -100.0, 30), (1, -90.0, 40)]}),
        ],
    )
    return made


def measured(folder, width):
    """What a browser finds in the page when it has so many CSS pixels."""
    (folder / "measure.html").write_text(MEASURE.format(width=width), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
    options += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=4000", "--window-size=1400,900"]
    command = [BROWSER, *options, "--dump-dom", (folder / "measure.html").as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout, re.DOTALL)
    if found is None:
        pytest.skip(f"this Chromium does not show pages: {done.stderr[-300:]}")
    return json.loads(html.unescape(found[1]))


def test_on_a_phone_nothing_is_cut_off(folder):
    found = measured(folder, 390)
    assert found["page"] == 390 and found["wide"] == []
    assert found["scrolling"] == ["All results"]  # of thirteen columns; the others fit
    assert found["torn"] == []  # no line ends within --held-out
    assert found["columns"] == 1


def test_a_wide_screen_has_two_columns(folder):
    found = measured(folder, 1280)
    assert found["page"] == 1280 and found["wide"] == found["scrolling"] == found["torn"] == []
    assert found["columns"] == 2
