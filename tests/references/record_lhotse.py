"""Manifests that Lhotse 1.33.0 wrote, and where it says each supervision lies, for tests/corpus/test_lhotse.py.

    python record_lhotse.py lhotse     (in tests/references, in an environment with lhotse 1.33.0, torch and soundfile)

The recordings are not committed: silence of the lengths below does. Expected times come from Lhotse's own
trim_to_supervisions, which makes a cut of each supervision.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import lhotse
import numpy as np
import soundfile
from lhotse import CutSet, Recording, RecordingSet, SupervisionSegment, SupervisionSet

RATE = 8000
LENGTHS = {"audio/ann one.wav": (2.0, 1), "audio/bob.flac": (3.5, 1), "audio/call.wav": (4.0, 2)}  # s, channels


def manifests():
    recordings = RecordingSet.from_recordings(Recording.from_file(path) for path in LENGTHS)
    segments = [
        SupervisionSegment("s1", "ann one", 0.0, 2.0, text="one  two", speaker="Ann B", language="en", gender="F"),
        SupervisionSegment("s2", "bob", 0.123, 0.61, text="trois cafés", speaker="bob", custom={"snr": 12.5}),
        SupervisionSegment("s3", "bob", 0.8, 2.7, text="three", speaker="bob"),
        SupervisionSegment("s4", "bob", 0.75, 1.0, text="and me", speaker="ann"),
        SupervisionSegment("no text", "bob", 0.2, 0.1, speaker="bob"),
        SupervisionSegment("no-speaker", "ann one", 0.5, 0.5, text="who"),
        SupervisionSegment("left", "call", 0.5, 1.5, channel=0, text="hello", speaker="caller"),
        SupervisionSegment("both", "call", 0.5, 1.5, channel=[0, 1], text="hello hello", speaker="both"),
    ]
    return recordings, SupervisionSet.from_segments(segments)


def expected(cuts):
    """Supervision id -> file, start, end, speaker, text."""
    found = {}
    for cut in cuts.trim_to_supervisions(keep_overlapping=False):
        (segment,) = cut.supervisions
        source = cut.recording.sources[0].source
        found[segment.id] = [source, cut.start, cut.end, segment.speaker, segment.text]
    return found


def main(target):
    assert lhotse.__version__ == "1.33.0"
    target = Path(target).absolute()
    target.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("audio").mkdir()
        for path, (seconds, channels) in LENGTHS.items():
            soundfile.write(path, np.zeros((round(RATE * seconds), channels), np.float32), RATE)
        recordings, supervisions = manifests()
        recordings.to_file(target / "toy_recordings_train.jsonl.gz")
        supervisions.to_file(target / "toy_supervisions_train.jsonl.gz")
        whole = CutSet.from_manifests(recordings, supervisions)
        mono = CutSet.from_cuts(c for c in whole if c.recording_id != "call")
        windows = mono.filter(lambda c: c.recording_id == "bob").cut_into_windows(1.5)
        odd = [
            *windows.resample(16000).modify_ids(lambda i: f"{i}-window"),
            *mono.perturb_speed(0.9),
            *mono.filter(lambda c: c.recording_id == "bob").pad(5.0).modify_ids(lambda i: f"{i}-padded"),
        ]
        mono.to_file(target / "cuts_whole.jsonl")
        mono.trim_to_supervisions(keep_overlapping=False).to_file(target / "cuts_trimmed.jsonl.gz")
        CutSet.from_cuts(odd).to_file(target / "cuts_odd.jsonl.gz")
        text = json.dumps({"lengths": LENGTHS, "expected": expected(mono)}, indent=1, ensure_ascii=False)
        (target / "expected.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
