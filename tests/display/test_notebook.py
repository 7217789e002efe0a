"""What notebooks show: pictures that say what the things say, and nothing that a stranger wrote runs in them."""

import base64
import re
import struct
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from dataclasses import replace

import numpy as np
import pytest

import asr
from asr.display.notebook import heat_map, table_html
from asr.features import FeatureTable, mfcc
from asr.model.transcript import TimedWord, Transcript

STRANGE = '<script>alert("1")</script>&'


def parsed(text):
    """The HTML as a tree: it is written as XML, but for `<br>` and the like, which it does without."""
    return ET.fromstring(f"<body>{text}</body>")


def boxes(tree):
    """Row, word, start and end of each box of a timeline, in units of the picture."""
    return [
        (number, group.find("title").text.partition(":")[0], float(rect.get("x")), float(rect.get("width")))
        for number, row in enumerate(tree.find(".//svg").findall("g"))
        for group in row.findall("g")
        for rect in group.findall("rect")
    ]


@pytest.fixture(scope="module")
def heard(digits_model, sample):
    return digits_model.transcribe(sample)


def test_words_stand_where_they_were_said(heard):
    tree = parsed(heard._repr_html_())
    assert tree.find("p").text == heard.text
    scale = 1000 / heard.seconds
    assert len(boxes(tree)) == 6
    for (_, word, x, width), expected in zip(boxes(tree), heard.words, strict=True):
        assert word == expected.word
        assert abs(x - expected.start * scale) < 0.1 and abs(x + width - expected.end * scale) < 0.2


def test_the_waveform_is_that_of_the_recording(digits_model, heard, sample):
    samples, rate = asr.audio.read(sample)
    assert heard.seconds == len(samples) / rate and heard.outline.shape == (2000, 2)
    assert heard.outline[:, 0].min() == samples.min() and heard.outline[:, 1].max() == samples.max()
    loudest = np.argmax(heard.outline[:, 1]) / 2000 * len(samples)
    assert abs(loudest - np.argmax(samples)) < len(samples) / 1000
    points = parsed(heard._repr_html_()).find(".//polygon").get("points").split()
    ys = [float(point.split(",")[1]) for point in points]
    assert len(points) == 4000 and min(ys) >= 0 and max(ys) <= 48
    assert digits_model.align(sample, heard.text).outline.shape == (2000, 2)


def test_the_waveform_of_a_long_recording_is_not_blurred():
    """Clicks half a second apart, in five minutes."""
    samples = np.zeros(8000 * 300, np.float32)
    samples[::4000] = 1.0
    outline = Transcript("").of(samples, 8000).outline
    assert len(outline) == 15_000 and (outline[:, 1] > 0).sum() == 600
    assert len(Transcript("").of(np.zeros(8000 * 3600, np.float32), 8000).outline) == 20_000


def test_where_there_is_little_room_pictures_are_not_made_unreadable(heard):
    for shown in (heard._repr_html_(), heat_map(np.eye(9)).text):
        (frame,) = [div for div in parsed(shown).iter("div") if div.find("svg") is not None]
        assert "overflow-x:auto" in frame.get("style") and "min-width:40em" in frame.find("svg").get("style")


def test_a_few_samples_make_an_outline():
    found = Transcript("").of(np.array([0.5, -0.25], np.float32), 8000)
    assert found.outline.tolist() == [[0.5, 0.5], [-0.25, -0.25]] and found.seconds == 2 / 8000


def test_the_recording_is_no_part_of_what_was_said(digits_model, heard, sample):
    raw = digits_model.features.front_end(asr.audio.read(sample).samples)
    alone = digits_model.transcribe_features(raw)
    assert alone == heard and not len(alone.outline) and alone.seconds == 0
    words = boxes(parsed(alone._repr_html_()))
    assert [word for _, word, _, _ in words] == heard.text.split()
    assert "polygon" not in alone._repr_html_() and "polygon" in heard._repr_html_()


def test_long_recordings_have_rows_and_an_end():
    words = tuple(TimedWord(f"w{i}", i, i + 0.9) for i in range(300))
    long = Transcript(" ".join(w.word for w in words), words)
    tree = parsed(long._repr_html_())
    rows = tree.find(".//svg").findall("g")
    assert len(rows) == 12 and boxes(tree)[10][:3] == (1, "w10", 0.0) and boxes(tree)[-1][:2] == (11, "w119")
    assert "and 180 s more" in long._repr_html_()
    assert len(replace(long, text="word " * 10**6)._repr_html_()) < 100_000
    cut = Transcript("a b", (TimedWord("a", 0.0, 19.0), TimedWord("b", 19.0, 20.0)))  # over the end of a row
    assert [(row, word) for row, word, _, _ in boxes(parsed(cut._repr_html_()))] == [(0, "a"), (1, "a"), (1, "b")]


def test_silence_and_unfinished_sentences(digits_model):
    silent = digits_model.transcribe(np.zeros(8000, np.float32), 8000)
    assert "<i>no words</i>" in silent._repr_html_() and "polygon" in silent._repr_html_()
    assert Transcript("")._repr_html_() == "<p><i>no words</i></p>"
    assert "no sentence end was reached" in Transcript("one", reached_final=False)._repr_html_()


def test_nothing_of_a_strangers_is_html(digits_model):
    words = (TimedWord(STRANGE, 0.0, 1.0),)
    model = replace(
        digits_model, card=STRANGE, lexicon=replace(digits_model.lexicon, entries=((STRANGE.split()[0], ("A",)),))
    )
    table = FeatureTable.from_dict({STRANGE: np.eye(9)})
    for shown in (
        Transcript(STRANGE, words)._repr_html_(),
        model._repr_html_(),
        table._repr_html_(),
        heat_map(np.eye(9), title=STRANGE)._repr_html_(),
        table_html({STRANGE: STRANGE}, STRANGE),
    ):
        assert "<script" not in shown and "&lt;script&gt;" in shown
        parsed(shown)


def test_models(digits_model):
    tree = parsed(digits_model._repr_html_())
    facts = {row.find("th").text: row.find("td").text for row in tree.iter("tr")}
    assert facts["kind"] == "gmm-hmm" and facts["rate"] == "8000 Hz" and facts["words"].startswith("10: ")
    assert facts["phones"] == str(digits_model.lexicon.n_phones) and facts["size"].endswith(" MB")
    assert tree.find("details").find("pre").text.strip() == digits_model.card.strip()
    assert "none: it only aligns" in replace(digits_model, graph=None)._repr_html_()


def pixels(picture):
    """The palette's indices of the PNG in a heat map, uint8 (height, width), and the palette, (256, 3)."""
    data = base64.b64decode(re.search(r"data:image/png;base64,([^\"]+)", picture.text)[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        kind, content = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert zlib.crc32(kind + content) == struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0]
        chunks[kind], at = content, at + 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    rows = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    assert not rows[:, 0].any()
    return rows[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(256, 3)


def test_heat_maps_show_the_values():
    matrix = np.array([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
    shown, palette = pixels(heat_map(matrix, standardised=False))
    assert shown.tolist() == [[255] * 4, [0, 51, 102, 204]]  # the first value is below
    assert palette[0].sum() < palette[255].sum()
    shown, palette = pixels(heat_map(matrix))
    deviations = (matrix[:, 0] - 1.75) / matrix[:, 0].std()
    assert np.allclose(shown[1], 255 * (deviations + 3) / 6, atol=1) and set(shown[0].tolist()) == {128}
    assert palette[0][2] > palette[0][0] and palette[255][0] > palette[255][2]  # blue, red


def test_long_and_strange_features_are_drawn_too():
    assert pixels(heat_map(np.random.default_rng(0).standard_normal((5000, 3))))[0].shape == (3, 800)
    assert pixels(heat_map(np.full((5, 2), np.nan)))[0].shape == (2, 5)
    for wrong in (np.zeros(5), np.zeros((0, 3)), np.zeros((2, 3, 4))):
        with pytest.raises(ValueError, match=r"need \(n_frames, dim\)"):
            heat_map(wrong)
    found = asr.heat_map(mfcc(np.zeros(8000), 8000), title="zeros")
    assert repr(found) == "<Html: 98 frames of 13 values>" and "zeros, 98 frames of 13 values, 0.98 s" in found.text


def test_tables_of_features():
    features = {f"u{i}": np.random.default_rng(i).standard_normal((20, 4)) for i in range(5)} | {"u0": np.zeros((0, 4))}
    shown = FeatureTable.from_dict(features)._repr_html_()
    assert "5 utterances, 80 frames of 4 values" in shown and shown.count("data:image/png") == 3
    assert "data:" not in FeatureTable.from_dict({})._repr_html_()


def test_ticks_are_seconds(heard):
    texts = [t for t in parsed(heard._repr_html_()).iter("text") if t.get("font-size") == "11"]
    assert [t.text for t in texts] == ["0 s", "0.5", "1", "1.5", "2", "2.5"]
    assert [float(t.get("x")) for t in texts] == pytest.approx([500 * i / heard.seconds for i in range(6)], abs=0.1)


def test_it_takes_nothing_heavy():
    code = (
        "import sys, numpy as np; from asr.features import FeatureTable;"
        "FeatureTable.from_dict({'a': np.eye(5)})._repr_html_();"
        "print([m for m in ('matplotlib', 'torch', 'IPython', 'scipy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
