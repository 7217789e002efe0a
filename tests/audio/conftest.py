"""Fixtures that tests of reading share."""

import shutil

import pytest

from asr.audio import ffmpeg


@pytest.fixture(params=["PyAV", "ffmpeg"])
def which(request, monkeypatch):
    """The decoder that is used."""
    if request.param == "PyAV":
        pytest.importorskip("av")
    elif shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg program")
    monkeypatch.setattr(ffmpeg, "decoder", lambda: request.param)
    return request.param
