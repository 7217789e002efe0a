"""Each option is in the signature, where help, editors and type checkers look for it, as its dataclass has it."""

import dataclasses
import inspect
import pydoc

import numpy as np
import pytest

from asr.features import (
    FbankOptions,
    LpcOptions,
    MfccOptions,
    PitchOptions,
    StreamingFrontEnd,
    fbank,
    lpc,
    lpcc,
    mfcc,
    n_frames,
    pitch,
    reflection_coefficients,
    track_pitch,
)
from asr.features.front_ends import FRONT_ENDS
from asr.features.options import FramePositions

OPTIONS = {
    mfcc: MfccOptions,
    fbank: FbankOptions,
    lpc: LpcOptions,
    lpcc: LpcOptions,
    reflection_coefficients: LpcOptions,
    pitch: PitchOptions,
    track_pitch: PitchOptions,
}


def fields(options):
    return {field.name: (field.type, field.default) for field in dataclasses.fields(options)}


def parameters(function):
    """The keywords after `options` with type and default, in order."""
    found = inspect.signature(function).parameters
    assert all(p.kind is not p.VAR_KEYWORD for p in found.values())
    keywords = {name: p for name, p in found.items() if p.kind is p.KEYWORD_ONLY}
    ours = ("options", "seed", "lengths", "vtln_warp", "silence")
    return {name: (p.annotation, p.default) for name, p in keywords.items() if name not in ours}


@pytest.mark.parametrize("function", OPTIONS, ids=lambda f: f.__name__)
def test_the_signature_is_that_of_the_options(function):
    assert list(parameters(function).items()) == list(fields(OPTIONS[function]).items())
    assert "options" in inspect.signature(function).parameters


def test_every_front_end_is_looked_at():
    assert {front_end.function: front_end.options for front_end in FRONT_ENDS.values()}.items() <= OPTIONS.items()


def test_the_options_of_streams_are_those_of_all_their_kinds():
    wanted: dict = {}
    for front_end in FRONT_ENDS.values():
        if front_end.streams:
            wanted |= {name: (kind | None, None) for name, (kind, _) in fields(front_end.options).items()}
    found = parameters(StreamingFrontEnd)
    assert found.items() == wanted.items()
    assert list(inspect.signature(StreamingFrontEnd).parameters)[:2] == ["kind", "rate"]


def test_frames_are_counted_by_the_same_options():
    assert parameters(n_frames).items() == fields(FramePositions).items()


@pytest.mark.parametrize("function", OPTIONS, ids=lambda f: f.__name__)
def test_help_says_what_each_option_is(function):
    shown = pydoc.plain(pydoc.render_doc(function))
    explained = " ".join(f.__doc__ for f in (function, *((mfcc,) if "mfcc" in shown else ())))
    explained += (lpc.__doc__ + mfcc.__doc__) if "`lpc`" in shown else ""
    explained += track_pitch.__doc__ if "`track_pitch`" in shown else ""
    for name, (_, default) in fields(OPTIONS[function]).items():
        assert f"{name}: {type(default).__name__} = {default!r}" in shown.split("Help on ")[0] + shown
        assert name in explained, name


def test_names_replace_those_of_options_even_by_a_default():
    samples = np.random.default_rng(0).standard_normal(4000).astype(np.float32) / 10
    options = MfccOptions(num_ceps=20, num_mel_bins=30)
    assert mfcc(samples, 8000, options=options).shape[1] == 20
    assert mfcc(samples, 8000, options=options, num_ceps=13).shape[1] == 13
    assert np.array_equal(mfcc(samples, rate=8000, num_mel_bins=30), mfcc(samples=samples, rate=8000, num_mel_bins=30))
    stream = StreamingFrontEnd("mfcc", 8000, options=options, num_ceps=13)
    assert stream.dim == 13


def test_what_is_no_option_is_told_with_the_nearest():
    samples = np.zeros(4000, np.float32)
    for call, message in (
        (
            lambda: track_pitch(samples, 8000, max_f=300),
            r"track_pitch\(\) has no option 'max_f'; did you mean 'max_f0'",
        ),
        (lambda: fbank(samples, 8000, num_ceps=13), r"fbank\(\) has no option 'num_ceps'"),
        (
            lambda: StreamingFrontEnd("mfcc", 8000, num_cep=3),
            r"StreamingFrontEnd\(\) has no .* did you mean 'num_ceps'",
        ),
        (lambda: StreamingFrontEnd("mfcc", 8000, order=3), "mfcc stream has no option 'order'"),
        (lambda: mfcc(samples, 8000, options=FbankOptions()), r"mfcc\(\) takes options of type MfccOptions, not Fbank"),
    ):
        with pytest.raises(TypeError, match=message):
            call()
