import re

import numpy as np
import pytest

from asr.report.signal import (
    Panel,
    Pitch,
    check_picture,
    draw_signal,
    noise_floor,
    save_picture,
    signal_svg,
    spectrogram,
)

pytest.importorskip("matplotlib")
WORDS = [("one", 0.1, 0.5), ("two", 0.6, 1.1)]
PHONES = [("SIL", 0.0, 0.1), ("W", 0.1, 0.3), ("AH", 0.3, 0.4), ("N", 0.4, 0.5), ("T", 0.6, 0.8), ("UW", 0.8, 1.1)]


def tone(seconds, rate=8000, hertz=1000.0):
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize("seconds", [0.02, 0.5, 60, 600])
def test_a_tone_is_at_its_frequency_in_every_column(seconds):
    power = spectrogram(tone(seconds), 8000)
    assert power.shape[1] <= 1600
    inner = power[:, 2:-2] if power.shape[1] > 8 else power
    assert np.all(np.abs(inner.argmax(axis=0) * 8000 / 256 - 1000) <= 32)


def test_a_click_in_a_long_recording_is_drawn_where_it_is():
    samples = np.zeros(60 * 8000, np.float32)
    samples[45 * 8000] = 0.9
    figure = draw_signal(samples, 8000, offset=100.0)
    outline = figure.axes[0].collections[0].get_paths()[0].vertices
    time, height = outline[outline[:, 1].argmax()]
    assert height == pytest.approx(0.9) and time == pytest.approx(145.0, abs=0.05)
    assert len(outline) < 5000


def test_panels_share_the_time_axis_and_have_units():
    matrix = np.random.default_rng(0).standard_normal((118, 13))
    figure = draw_signal(tone(1.2), 8000, panel=Panel("MFCC", matrix, 0.01), words=WORDS, phones=PHONES)
    panels = [axis for axis in figure.axes if axis.get_subplotspec().colspan.start == 0]
    assert [axis.get_xlim() for axis in panels] == [(0.0, 1.2)] * 5
    labels = [axis.get_ylabel() for axis in panels]
    assert (
        "amplitude" in labels[0] and labels[1:3] == ["words", "phones"] and "kHz" in labels[3] and labels[4] == "MFCC"
    )
    assert panels[-1].get_xlabel() == "time (s)"
    assert [text.get_text() for text in panels[1].texts] == ["one", "two"]


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf"])
def test_pictures_of_each_kind_are_whole_and_repeatable(tmp_path, suffix):
    for name in ("a", "b"):
        save_picture(draw_signal(tone(1.2), 8000, words=WORDS, title="$x_"), tmp_path / f"{name}{suffix}")
    first = (tmp_path / f"a{suffix}").read_bytes()
    assert first == (tmp_path / f"b{suffix}").read_bytes()
    assert first[:8].strip().startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])
    if suffix == ".svg":
        assert re.search(rb">two</text>", first) and b"$x_" in first


def test_labels_that_do_not_fit_are_counted_and_long_recordings_are_drawn(tmp_path):
    words = [(f"word{i}", i * 0.3, i * 0.3 + 0.2) for i in range(1000)]
    figure = draw_signal(tone(300), 8000, words=words, phones=words, panel=Panel("x", np.zeros((30000, 3)), 0.01))
    labels = [axis.get_ylabel() for axis in figure.axes]
    assert any("1000 too narrow" in label for label in labels) and "phones" not in labels
    save_picture(figure, tmp_path / "long.png")
    assert (tmp_path / "long.png").stat().st_size < 2_000_000


def test_silence_and_letters_without_a_glyph_are_drawn(tmp_path, recwarn):
    figure = draw_signal(np.zeros(400, np.float32), 8000, words=[("\U0001f3a4 世", 0, 0.05)], title="\u0e01")
    save_picture(figure, tmp_path / "x.png")
    assert [p.name for p in tmp_path.iterdir()] == ["x.png"] and not recwarn.list


def test_a_picture_of_an_unknown_kind_is_refused():
    with pytest.raises(Exception, match=r"did you mean '\.png'"):
        check_picture("a.pgn")


def test_pitch_is_a_curve_in_hertz():
    """Strong where there is a voice, and pale all along."""
    hz, voicing = np.linspace(100, 200, 100), np.r_[np.zeros(50), np.ones(50)]
    figure = draw_signal(tone(1.0), 8000, panel=Pitch(hz, voicing, 0.01), offset=5.0)
    panel = figure.axes[-2] if figure.axes[-1].get_ylabel().startswith("dB") else figure.axes[-1]
    pale, strong = panel.lines
    assert panel.get_ylabel() == "pitch (Hz)" and not panel.images
    assert np.allclose(pale.get_ydata(), hz) and pale.get_alpha() < 0.5
    assert np.isnan(strong.get_ydata()[:50]).all() and np.allclose(strong.get_ydata()[50:], hz[50:])
    assert strong.get_xdata()[0] == pytest.approx(5.005)
    low, high = panel.get_ylim()
    assert low < 150 and high > 200 and high - low < 130  # of the voiced frames


def test_noise_is_dark_in_a_spectrogram():
    rng = np.random.default_rng(0)
    for level, most in ((1e-5, 0.01), (3e-3, 0.05)):
        samples = 0.5 * tone(2.0) * (np.arange(16000) // 4000 % 2) + level * rng.standard_normal(16000)
        db = 10 * np.log10(spectrogram(samples.astype(np.float32), 8000) + 1e-20)
        db -= db.max()
        floor, quiet = noise_floor(db), db[:, :200]
        assert -70 <= floor <= -35 and np.mean(quiet > floor) < most
    assert noise_floor(np.zeros((5, 3))) == -35 and noise_floor(np.full((5, 3), -200.0)) == -70


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("title", ["W" * 300, "short\n" + "i" * 500, "世界" * 100, "plain"])
def test_a_title_stays_within_the_picture(title):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = draw_signal(tone(1.0), 8000, title=title, words=WORDS)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    shown = next(axis for axis in figure.axes if axis.get_title(loc="left"))
    box = shown._left_title.get_window_extent(canvas.get_renderer())
    assert box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
    cut = shown.get_title(loc="left")
    assert cut == title if len(title) < 20 else "…" in cut


def test_in_a_page_the_picture_takes_its_colours():
    figure = draw_signal(tone(1.0), 8000, words=WORDS, phones=PHONES, title="<b>")
    svg = signal_svg(figure, "a tone & more")
    assert svg.startswith("<svg") and 'aria-label="a tone &amp; more"' in svg and "currentColor" in svg
    assert "#1c2128" not in svg and "#ffffff" not in svg.partition("<image")[0] and "&lt;b&gt;" in svg
    assert re.search(r"fill: #1d2128[^>]*>one</text>|>one</text>", svg)
