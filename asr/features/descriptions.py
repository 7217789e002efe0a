"""Feature pipelines as a person would say them."""

from typing import TYPE_CHECKING, Any

from .pitch import PITCH_DIM

if TYPE_CHECKING:
    from .pipeline import FeaturePipeline

_FRONT_ENDS = {
    "mfcc": "MFCC",
    "fbank": "log mel filter outputs",
    "lpc": "LPC coefficients",
    "lpcc": "LPC cepstra",
    "reflection_coefficients": "reflection coefficients",
    "pitch": "pitch and voicing values",
}


def in_words(pipeline: "FeaturePipeline") -> str:
    """A feature pipeline as a person would say it.

    Examples:
        >>> from asr.features.pipeline import FeaturePipeline
        >>> in_words(FeaturePipeline(8000, ({"kind": "mfcc"}, {"kind": "delta", "order": 2})))
        '13 MFCC every 10 ms from 25 ms at 8000 Hz, derivatives up to order 2: 39 values'
        >>> in_words(FeaturePipeline(8000, ({"kind": "mfcc", "pitch": {}},)))
        '13 MFCC with pitch and voicing every 10 ms from 25 ms at 8000 Hz: 16 values'
    """
    first, *rest = pipeline.steps
    if first["kind"] in _FRONT_ENDS:
        options = pipeline.options
        with_pitch = " with pitch and voicing" if "pitch" in first else ""
        n_pitch = PITCH_DIM if "pitch" in first else 0
        name = f"{pipeline.raw_dim - n_pitch} {_FRONT_ENDS[first['kind']]}{with_pitch}"
        name += f" every {options.frame_shift:g} ms from {options.frame_length:g} ms at {pipeline.sample_rate} Hz"
    else:
        name = f"{pipeline.raw_dim} values given with the corpus, one frame every {1000 * pipeline.frame_shift:g} ms"
    said = [name, *(_step(step) for step in rest)]
    return f"{', '.join(said)}: {pipeline.dim} values"


def _step(step: dict[str, Any]) -> str:
    if step["kind"] == "cmvn":
        what = "mean and variance" if step.get("norm_vars") else "mean"
        return f"{what} normalised ({step['mode']})"
    if step["kind"] == "delta":
        return f"derivatives up to order {step.get('order', 2)}"
    if step["kind"] == "splice":
        return f"spliced with {step.get('left', 4)} before and {step.get('right', 4)} after"
    if step["kind"] == "affine":
        return "times a learned matrix"
    return str(step["kind"])
