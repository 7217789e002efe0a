"""Sections of curves: errors from stage to stage, training pass by pass, tuning, and one recording over time."""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..display.brief import many
from ..errors import AsrError
from ..scoring import Score, compare
from ..train.tuning import TuningPoint, at_edge, best_point, plateau
from .page import Section, rendered
from .phrases import MODELS, sentence
from .plots import Plateau, error_limits, line_plot, stages_plot
from .sections import figure_html
from .signal import Pitch, draw_signal, signal_svg

Segment = tuple[str, float, float]  # label, start and end in seconds


def stages_section(
    lines: Mapping[str, Mapping[str, Score]],
    *,
    title: str = "Error from stage to stage",
    about: str = "",
    note: str = "",
) -> Section:
    """How the error rate falls from stage to stage, with 95 % intervals.

    Args:
        lines: what is counted, such as "words" -> stage or system -> its score on the same utterances.
    """
    points = {
        name: {MODELS.get(stage, stage): (s.rate, *s.interval()) for stage, s in scores.items()}
        for name, scores in lines.items()
    }
    plot = stages_plot(points, title="Errors after each stage", y_label="error rate, %")
    caption = f"Pale: what chance could make of it, a 95 % interval. {_last_step(lines)}"
    return Section(title, figure_html(plot, caption, note=note), about)


def _last_step(lines: Mapping[str, Mapping[str, Score]]) -> str:
    """Whether the last stage was worth it."""
    changes = []
    for name, scores in lines.items():
        *_, before, after = scores.values()
        found = compare(before, after)
        sure = "may be chance" if found.low <= 0 <= found.high else "more than chance"
        changes.append(f"{found.difference:+.1f} points of {name} ({sure})")
    last = list(next(iter(lines.values())))[-1]
    return f"The last step, to {MODELS.get(last, last)}: {', '.join(changes)}."


def training_section(
    logs: Mapping[str, Sequence[tuple[int, float, int]]],
    *,
    same_features: bool = True,
    title: str = "Training, pass by pass",
    note: str = "",
    about: str = "",
) -> Section:
    """Log-likelihood and number of Gaussians over the passes, one line a model.

    Args:
        logs: model name -> (pass, log-likelihood a frame, number of Gaussians) of each pass.
        same_features: whether all models are of the same features; the likelihoods of others cannot be compared, so
            each has an axis of its own.
    """
    likelihood = {name: ([p for p, _, _ in log], [v for _, v, _ in log]) for name, log in logs.items()}
    gaussians = {name: ([p for p, _, _ in log], [float(n) for _, _, n in log]) for name, log in logs.items()}
    what, nats = "log-likelihood a frame", "nats a frame"
    if same_features or len(logs) == 1:
        plots = [line_plot(likelihood, title=sentence(what), x_label="pass", y_label=nats, small=len(logs) == 1)]
    else:
        note = f"Each stage has features of its own: heights of different curves cannot be compared. {note}".strip()
        plots = [
            line_plot({name: line}, title=sentence(MODELS.get(name, name)), x_label="pass", y_label=nats, small=True)
            for name, line in likelihood.items()
        ]
    named, small = {MODELS.get(name, name): line for name, line in gaussians.items()}, len(logs) == 1
    size = line_plot(named, title="Number of Gaussians", x_label="pass", y_label="Gaussians", small=small)
    lead = f"The {what} of the training speech, which should rise and level off, and the size of the models."
    smalls, large = ([*plots, size], []) if small else (plots, [size])
    return Section(title, rendered("training", lead=lead, smalls=smalls, plots=large, note=note), about)


def network_section(
    curves: Mapping[str, Sequence[Mapping[str, float]]],
    *,
    title: str = "Training of networks",
    note: str = "",
    about: str = "",
) -> Section:
    """Loss and share of frames that are right over the epochs, in training and on utterances held out.

    Args:
        curves: network -> epochs, with the numbers of asr.nn.curves.Point.
    """
    series: dict[str, dict[str, tuple[list[float], list[float]]]] = {"loss": {}, "accuracy": {}}
    for name, points in curves.items():
        epochs = [p["epoch"] for p in points]
        for part in ("train", "held_out"):
            label = f"{name}, {part.replace('_', ' ')}"
            for measure, lines in series.items():
                lines[label] = (epochs, [p[f"{part}_{measure}"] for p in points])
    plots = [
        line_plot(series["loss"], title="Loss a frame, of CTC a unit", x_label="epoch", y_label="nats"),
        line_plot(series["accuracy"], title="Frames (of CTC units) that are right", x_label="epoch", y_label="share"),
    ]
    return Section(title, rendered("networks", plots=plots, note=note), about)


def tuning_section(
    points: Sequence[TuningPoint],
    *,
    unit: str = "words",
    title: str = "Tuning on held-out speech",
    note: str = "",
    about: str = "",
) -> Section:
    """The errors of all settings that were tried, which of them are equal within chance, and which was chosen, and why.

    Args:
        unit: whose errors, in the plural.
    """
    best, even = best_point(points), plateau(points)
    total, fewest = max(best.total, 1), min(p.errors for p in points)
    chance = 100 * max(1.0, fewest**0.5) / total
    low = 100 * fewest / total
    limits = error_limits([p.rate for p in points if p in _lines(points, best)], chance)
    plots = []
    for name, other in (("acoustic_scale", "insertion_penalty"), ("insertion_penalty", "acoustic_scale")):
        line = sorted((getattr(p, name), p.rate) for p in points if getattr(p, other) == getattr(best, other))
        words = name.replace("_", " ")
        series = {about or words: ([x for x, _ in line], [y for _, y in line])}
        plot = line_plot(
            series, title=f"at {other.replace('_', ' ')} {getattr(best, other):g}", x_label=words,
            y_label=f"errors of {unit}, %", marked={about or words: getattr(best, name)},
            plateau=Plateau(low, low + chance), limits=limits, small=True,
        )  # fmt: skip
        plots.append(plot)
    caption = "Ring: what was chosen. Green: as good as the best, as far as so many errors can tell."
    if max(p.rate for p in _lines(points, best)) > limits[1]:
        caption += " Far higher rates are off the picture."
    scales, rows = _grid(points, best, even)
    markup = rendered(
        "tuning", why=_why(points, best, even, unit), plots=plots, caption=caption, scales=scales, rows=rows,
        is_open=len(points) <= 30, note=note,
    )  # fmt: skip
    return Section(title, markup, about)


def confidence_section(
    sure: Sequence[tuple[float, bool]], *, title: str = "How far confidences can be trusted", about: str = ""
) -> Section:
    """A reliability diagram: of the words with about the same confidence, how many are right?

    Args:
        sure: of each word its confidence, 0 to 1, and whether it is right; one at least.
    """
    from ..scoring.confidence import reliability

    found = reliability(*(np.array(column) for column in zip(*sure, strict=True)))
    series = {
        "as they are": ((100 * found.confidence).tolist(), (100 * found.right).tolist()),
        "as they should be": ([0.0, 100.0], [0.0, 100.0]),
    }
    plot = line_plot(series, title="", x_label="confidence, %", y_label="words that are right, %", limits=(0.0, 100.0))
    figures = f"on average {100 * found.calibration_error:.1f} % beside what was right"
    if not math.isnan(found.area):
        figures += (
            f"; normalised cross-entropy {found.cross_entropy:.2f} (1 is perfect, 0 worth nothing), area under the ROC "
            f"curve {found.area:.2f} (0.5 is chance)"
        )
    note = (
        f"{many(len(sure), 'word')} recognised in recordings that were not trained on, in {len(found.n_words)} groups "
        f"of equally many: {figures}. Each half of the recordings by what the other half taught; what the model keeps "
        "is learnt from both."
    )
    return Section(title, figure_html(plot, note), about)


def _lines(points: Sequence[TuningPoint], best: TuningPoint) -> list[TuningPoint]:
    """The points on the two lines through the chosen one."""
    return [
        p for p in points
        if p.acoustic_scale == best.acoustic_scale or p.insertion_penalty == best.insertion_penalty
    ]  # fmt: skip


def _why(points: Sequence[TuningPoint], best: TuningPoint, even: Sequence[TuningPoint], unit: str) -> str:
    """Why a setting was chosen, and whether more should be tried."""
    fewest = min(p.errors for p in points)
    text = (
        f"Chosen: acoustic scale {best.acoustic_scale:g} and insertion penalty {best.insertion_penalty:g}, with "
        f"{many(best.errors, 'error')} in {best.total:,} {unit}. "
    )
    if len(even) == 1:
        text += f"It has the fewest of the {len(points)} settings tried, by more than chance."
    else:
        text += (
            f"The fewest of the {len(points)} settings tried is {fewest:,}, but {len(even)} are as good within chance "
            "(the square root of the errors more); the one in their middle was taken, since that suits new speech "
            "better than their edge."
        )
    if edge := at_edge(points, best):
        text += f" But {edge}: beyond it may be better still."
    return text


Row = tuple[float, list[tuple[str, str]]]  # an insertion penalty; of each scale the error rate and the cell's classes


def _grid(
    points: Sequence[TuningPoint], best: TuningPoint, even: Sequence[TuningPoint]
) -> tuple[list[float], list[Row]]:
    """The scales, and the error rate of each pair of settings; the plateau is shaded, the chosen pair framed."""
    scales = sorted({p.acoustic_scale for p in points})
    at = {(p.acoustic_scale, p.insertion_penalty): p for p in points}

    def cell(point: TuningPoint | None) -> tuple[str, str]:
        if point is None:
            return "", ""
        kinds = [*(["even"] if point in even else []), *(["chosen"] if point == best else [])]
        return f"{point.rate:.1f}", " ".join(kinds)

    penalties = sorted({p.insertion_penalty for p in points})
    return scales, [(penalty, [cell(at.get((s, penalty))) for s in scales]) for penalty in penalties]


def alignment_section(
    samples: np.ndarray,
    rate: int,
    *,
    phones: Sequence[Segment],
    words: Sequence[Segment],
    name: str = "",
    sound: str = "",
    title: str = "One recording from near",
    about: str = "",
) -> Section:
    """Waveform, words, phones, spectrogram and pitch of one recording, over one time axis.

    Args:
        samples: float32 (n_samples,).
        phones: (label, start, end), in seconds.
        words: (label, start, end), in seconds.
        name: what is shown, e.g. the utterance's id and its words; plain text.
        sound: HTML, to play it.
    """
    figure = draw_signal(samples, rate, panel=_pitch(samples, rate), phones=phones, words=words)
    found = ", ".join(f"{label} {start:.2f} to {end:.2f} s" for label, start, end in words)
    plot = signal_svg(figure, f"{name or title}. Words: {found or 'none'}")
    caption = "Words and phones where the model found them; below, the frequencies (bright is loud) and the pitch."
    markup = rendered("alignment", name=name, sound=sound, plot=plot, caption=caption)
    return Section(title, markup, about, wide=True)


def _pitch(samples: np.ndarray, rate: int) -> Pitch | None:
    """The pitch, where the recording is long enough."""
    try:
        from ..features.pitch_tracking import track_pitch

        track = track_pitch(samples, rate)
    except (AsrError, ValueError):
        return None
    return Pitch(track.hz, track.voicing, 0.01, 0.0075)
