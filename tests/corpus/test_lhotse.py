"""Lhotse's manifests, as Lhotse itself wrote them (tests/references/record_lhotse.py), and damaged ones."""

import gzip
import json
import re
import shutil
from pathlib import Path

import pytest

from asr.corpus import Corpus, Utterance
from asr.errors import CorpusError

WRITTEN = Path(__file__).parents[1] / "references" / "lhotse"
TRUTH = json.loads((WRITTEN / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def manifests(tmp_path, recording):
    """The recorded manifests beside silence of the lengths that they promise."""
    for name, (seconds, channels) in TRUTH["lengths"].items():
        recording(tmp_path / name, seconds, channels)
    for path in WRITTEN.glob("*.jsonl*"):
        shutil.copy(path, tmp_path)
    return tmp_path


def expected(folder, names=None):
    """What Lhotse says, as utterances of a corpus."""
    found = {}
    for name, (source, start, end, speaker, text) in TRUTH["expected"].items():
        if text is not None and (names is None or name in names):
            whole = end == TRUTH["lengths"][source][0]
            speaker = "_".join((speaker or Path(source).stem).split())
            found[name] = Utterance(name, speaker, folder / source, text, start, None if whole else end)
    return found


def as_lines(path, *items):
    path.write_text("".join((i if isinstance(i, str) else json.dumps(i)) + "\n" for i in items))
    return path


@pytest.mark.parametrize(
    "given",
    ["toy_recordings_train.jsonl.gz", "cuts_whole.jsonl", "cuts_trimmed.jsonl.gz"],
)
def test_every_supervision_lies_where_lhotse_says(manifests, given):
    corpus = Corpus.read(manifests / given)
    wanted = expected(manifests)
    if given.startswith("toy"):
        wanted["both"] = Utterance("both", "both", manifests / "audio/call.wav", "hello hello", 0.5, 2.0)
        call = manifests / "audio/call.wav"
        wanted["left"] = Utterance("left", "caller", call, "hello", 0.5, 2.0, channel=0)
    assert {u.id: u for u in corpus} == wanted
    problems = " ".join(p.message for p in corpus.problems)
    assert "utterance 'no text' has no transcript" in problems and "names no speaker, as 1 utterances do" in problems


def test_recordings_and_supervisions_may_have_any_names(manifests):
    first, second = manifests / "a.jsonl.gz", manifests / "b.jsonl.gz"
    (manifests / "toy_recordings_train.jsonl.gz").rename(first)
    (manifests / "toy_supervisions_train.jsonl.gz").rename(second)
    assert len(Corpus.from_lhotse(first, second)) == 7


def test_problems_of_supervisions_are_named(manifests, shown):
    corpus = Corpus.from_lhotse(manifests / "toy_recordings_train.jsonl.gz")
    assert [p.split(";")[0].split("(chan")[0] for p in shown(corpus, manifests)] == [
        "toy_supervisions_train.jsonl.gz:5: utterance 'no text' has no transcript",
        "toy_supervisions_train.jsonl.gz:6: names no speaker, as 1 utterances do",
    ]


def test_cuts_that_do_not_hold_their_words_as_they_are_are_left_out(manifests, shown):
    corpus = Corpus.from_lhotse(manifests / "cuts_odd.jsonl.gz")
    assert {u.id: u for u in corpus} == expected(manifests, ["s2"])  # from a window that was resampled
    problems = shown(corpus, manifests)
    assert [p.split(":")[1] for p in problems] == ["1", "1", "1", "2", "2", "3", "4", "4", "5", "5", "5", "5", "6"]
    for message in (
        "supervision 's3' of cut 'bob-1-0-window' reaches out of its cut (0.8 s to 3.5 s of 1.5 s)",
        "utterance 's1_sp0.9': its recording is changed by Speed",
        "is a MixedCut; only MonoCuts are read",
    ):
        assert message in " ".join(problems)


def test_recordings_alone_can_be_transcribed_but_not_trained_on(manifests):
    (manifests / "toy_supervisions_train.jsonl.gz").unlink()
    manifest = manifests / "toy_recordings_train.jsonl.gz"
    corpus = Corpus.from_lhotse(manifest, need_text=False, strict=True)
    assert corpus["ann_one"] == Utterance("ann_one", "ann_one", manifests / "audio/ann one.wav")
    with pytest.raises(CorpusError, match="recording 'bob' has no supervision"):
        Corpus.from_lhotse(manifest)


def test_a_folder_is_read_where_there_is_no_choice(manifests):
    with pytest.raises(CorpusError, match=r"found toy_recordings.*cuts_odd.jsonl.gz.*name the manifest"):
        Corpus.read(manifests)
    for path in manifests.glob("cuts*"):
        path.unlink()
    assert Corpus.read(manifests) == Corpus.from_lhotse(manifests / "toy_recordings_train.jsonl.gz")
    with pytest.raises(CorpusError, match=r"need JSON lines .*lhotse copy"):
        Corpus.from_lhotse(manifests / "recordings.yaml")


RECORDING = {"id": "r", "sources": [{"type": "file", "channels": [0], "source": "audio/bob.flac"}], "duration": 3.5}
SUPERVISION = {"id": "x", "recording_id": "r", "start": 0.5, "duration": 1.0, "text": "x", "speaker": "bob"}
CUT = {"id": "c", "start": 0, "duration": 3, "supervisions": [SUPERVISION], "recording": RECORDING, "type": "MonoCut"}
FAULTS = {
    "a command": ({"sources": [{"type": "command", "channels": [0], "source": "touch {ran}"}]}, "of type 'command'"),
    "a url": ({"sources": [{"type": "url", "channels": [0], "source": "http://x.invalid/a.wav"}]}, "of type 'url'"),
    "in memory": ({"sources": [{"type": "memory", "channels": [0], "source": "UklGRg=="}]}, "of type 'memory'"),
    "a pipe as file": ({"sources": [{"type": "file", "source": "touch {ran} |"}]}, "is a command ('touch"),
    "no sources": ({"sources": []}, "its channels [0] lie"),
    "no source": ({"sources": [{"type": "file", "channels": [0]}]}, "its recording's source has no 'source'"),
    "odd sources": ({"sources": "audio/bob.flac"}, "its recording has no 'sources' of the right type"),
    "no file": ({"sources": [{"type": "file", "source": "nowhere.wav"}]}, "no such file: nowhere.wav"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_sources_that_are_no_files_are_refused_in_both_kinds(manifests, shown, fault):
    change, message = FAULTS[fault]
    ran = manifests / "ran"
    bad = json.loads(json.dumps(RECORDING | change | {"id": "bad"}).replace("{ran}", str(ran)))
    recordings = as_lines(manifests / "a.jsonl", RECORDING, bad)
    supervisions = as_lines(manifests / "b.jsonl", SUPERVISION, SUPERVISION | {"id": "y", "recording_id": "bad"})
    corpus = Corpus.from_lhotse(recordings, supervisions)
    assert corpus.ids == ["x"] and len(corpus.problems) == 1
    assert message in shown(corpus, manifests)[0] and shown(corpus, manifests)[0].startswith("b.jsonl:2: utterance 'y'")
    second = CUT | {"id": "d", "recording": bad, "supervisions": [SUPERVISION | {"id": "y"}]}
    corpus = Corpus.from_lhotse(as_lines(manifests / "cuts.jsonl", CUT, second))
    assert corpus.ids == ["x"] and message in corpus.problems[0].message and corpus.problems[0].where.endswith(":2")
    assert not ran.exists()


def test_a_truncated_manifest_is_read_up_to_there(manifests, shown):
    lines = "".join(
        json.dumps(CUT | {"id": f"c{i}", "supervisions": [SUPERVISION | {"id": f"x{i}"}]}) + "\n" for i in range(2000)
    )
    raw = gzip.compress(lines.encode())
    (manifests / "cuts_a.jsonl.gz").write_bytes(raw[: len(raw) // 2])
    corpus = Corpus.from_lhotse(manifests / "cuts_a.jsonl.gz")
    assert 100 < len(corpus) < 2000
    assert shown(corpus, manifests)[0].startswith("cuts_a.jsonl.gz: truncated or damaged")
    (manifests / "cuts_a.jsonl.gz").write_bytes(b"not gzip")
    with pytest.raises(CorpusError, match=re.escape("cuts_a.jsonl.gz: truncated or damaged")):
        Corpus.from_lhotse(manifests / "cuts_a.jsonl.gz")


ODD = (None, True, 5, -1, 10**400, float("nan"), "x", " ", "\ud800", [], [5], [[1]], [{}], {}, {"a": 1})


def with_odd_values(item, *more):
    """The object with each odd value for each key, under ids of their own but where the id itself is odd."""
    odd = [item | {key: value} for key in (*item, *more) for value in ODD]
    return [o | {"id": f"{o['id']}{i}"} if o["id"] == item["id"] else o for i, o in enumerate(odd)]


def test_values_of_any_other_type_never_end_in_a_traceback(manifests):
    """The good rest is read, and all that is read can be written."""
    sources = [RECORDING | {"sources": [s]} for s in with_odd_values(RECORDING["sources"][0] | {"id": "s"})]
    recordings = with_odd_values(RECORDING, "channel_ids", "transforms") + [
        r | {"id": f"s{i}"} for i, r in enumerate(sources)
    ]
    of_odd = [SUPERVISION | {"id": f"of{i}", "recording_id": r["id"]} for i, r in enumerate(recordings)]
    supervisions = with_odd_values(SUPERVISION, "channel") + of_odd
    cut = CUT | {"supervisions": [SUPERVISION | {"id": "y"}]}
    cuts = [CUT | {"supervisions": [s], "id": f"k{i}"} for i, s in enumerate(supervisions)]
    cuts += [cut | {"recording": r, "supervisions": [s]} for r, s in zip(recordings, of_odd, strict=True)]
    cuts += with_odd_values(cut, "channel")
    listed = as_lines(manifests / "a.jsonl", RECORDING, *recordings)
    for given in (
        (listed, as_lines(manifests / "b.jsonl", SUPERVISION, *supervisions)),
        (as_lines(manifests / "cuts.jsonl", CUT, *cuts),),
        (listed,),
    ):
        corpus = Corpus.from_lhotse(*given, need_text=given != (listed,))
        assert corpus.ids[0] == ("r" if given == (listed,) else "x") and len(corpus.problems) > 50
        corpus.to_tsv(manifests / "written.tsv")
