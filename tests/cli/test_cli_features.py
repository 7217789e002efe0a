import json

import kaldiio
import numpy as np
import pytest
import soundfile

import asr
from asr.corpus.feature_files import file_name
from asr.features import cmvn, delta


def load(folder):
    return {p.name: np.load(p, allow_pickle=False) for p in folder.iterdir()}


def test_npy_files_hold_what_the_functions_give(run, recordings, tmp_path):
    settings = ["--set", "num_ceps=9", "--set", "snip-edges=false", "--set", "window_type=hamming"]
    done = run("features", "mfcc", recordings, "--out", tmp_path / "out", *settings, "--deltas", 1)
    assert done.status == 0 and done.err == ""
    found = load(tmp_path / "out")
    assert sorted(found) == ["ann-one.npy", "one.npy", "two.npy"]
    for name, path in (("ann-one", "ann/one.wav"), ("two", "two.wav")):
        samples, rate = soundfile.read(recordings / path, dtype="float32")
        wanted = asr.mfcc(samples, rate, num_ceps=9, snip_edges=False, window_type="hamming")
        assert np.array_equal(found[f"{name}.npy"], delta(wanted, order=1))
    frames = sum(len(matrix) for matrix in found.values())
    assert f"3 recordings, {frames} frames of 18 values at 16000 Hz: {tmp_path / 'out'}" in done.out


def test_a_kaldi_archive_has_the_same_numbers_with_any_number_of_jobs(run, recordings, tmp_path):
    for i in range(40):
        soundfile.write(recordings / f"more{i:02d}.wav", np.sin(np.arange(4000 + 37 * i) * (0.1 + i / 50)) / 3, 16000)
    assert run("features", "lpcc", recordings, "--out", tmp_path / "npy", "--rate", 8000).status == 0
    arguments = ["features", "lpcc", recordings, "--out", tmp_path / "ark", "--as", "ark", "--rate", 8000, "--jobs", 2]
    assert run(*arguments).status == 0
    archive = dict(kaldiio.load_scp(str(tmp_path / "ark" / "feats.scp")).items())
    assert len(archive) == 43 and list(archive) == sorted(archive)
    for name, matrix in load(tmp_path / "npy").items():
        assert np.array_equal(archive[name.removesuffix(".npy")], matrix), name


def test_features_go_beside_a_kaldi_data_directory_normalised_by_speaker(run, recordings, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    paths = {"a1": "one.wav", "b1": "two.wav", "a2": "ann/one.wav"}
    (data / "wav.scp").write_text("".join(f"{name} {recordings / path}\n" for name, path in paths.items()))
    (data / "utt2spk").write_text("a1 ann\nb1 bob\na2 ann\n")
    done = run("features", "fbank", data, "--out", data, "--as", "ark", "--cmvn", "speaker", "--norm-vars")
    assert done.status == 0, done.err
    found = kaldiio.load_scp(str(data / "feats.scp"))
    raw = {n: asr.fbank(soundfile.read(recordings / p, dtype="float32")[0], 16000) for n, p in paths.items()}
    both = np.concatenate([raw["a1"], raw["a2"]]).astype(np.float64)
    assert found["a1"] == pytest.approx((raw["a1"] - both.mean(0)) / both.std(0), abs=1e-3)
    assert np.array_equal(found["b1"], cmvn(raw["b1"], norm_vars=True))


def test_a_bad_file_is_named_and_the_rest_is_written(run, recordings, tmp_path):
    (recordings / "bad.wav").write_bytes(b"RIFF nonsense")
    soundfile.write(recordings / "short.wav", np.zeros(100), 16000)
    for form in ("npy", "ark"):
        done = run("features", "mfcc", recordings, "--out", tmp_path / form, "--as", form)
        lines = done.err.splitlines()
        assert done.status == 1 and len(lines) == 3 and lines[-1] == "asr: 2 of 5 failed"
        assert "bad.wav" in lines[0] and "short.wav" in lines[1] and "3 recordings" in done.out
    assert len(load(tmp_path / "npy")) == 3


def test_if_all_fail_no_archive_is_left(run, tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"RIFF nonsense")
    assert run("features", "mfcc", tmp_path / "bad.wav", "--out", tmp_path / "out", "--as", "ark").status == 1
    assert list((tmp_path / "out").iterdir()) == []


def test_ids_never_leave_the_folder_and_clashes_are_named(run, recordings, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    ids = ["../x", "/etc/passwd", ".hidden", "a/b", "a_b"]
    (data / "wav.scp").write_text("".join(f"{name} {recordings / 'one.wav'}\n" for name in ids))
    done = run("features", "mfcc", data, "--out", tmp_path / "in" / "out")
    assert done.status == 1 and "2 of 5 failed" in done.err and "a_b.npy" in done.err
    written = sorted(p.relative_to(tmp_path / "in") for p in (tmp_path / "in").rglob("*") if p.is_file())
    assert [p.as_posix() for p in written] == ["out/_._x.npy", "out/_etc_passwd.npy", "out/_hidden.npy"]
    assert not (tmp_path / "x.npy").exists() and "'../x' is written as _._x.npy" in done.err
    assert file_name("é" * 300) == "é" * 100 and file_name("") == "_"


def test_settings_are_listed_with_their_defaults_and_meaning(run):
    lines = run("features", "lpcc", "--settings").out.splitlines()
    assert any(line.startswith("order=12 ") and "predictor" in line for line in lines)
    assert any(line.startswith("window_type=hamming") for line in lines) and len(lines) == 11


def test_features_of_features_are_refused(run, tmp_path):
    np.save(tmp_path / "x.npy", np.zeros((5, 3), np.float32))
    done = run("features", "mfcc", tmp_path / "x.npy", "--out", tmp_path / "out")
    assert done.status == 1 and "holds features already" in done.err


def test_a_table_and_lhotse_manifests_are_read_with_their_speakers_and_times(run, recordings, tmp_path):
    rows = [
        "id\taudio\tspeaker\tstart\tend",
        f"u1\t{recordings / 'one.wav'}\tann\t0.1\t0.3",
        "u2\tmissing.wav\tbob\t\t",
    ]
    (tmp_path / "c.tsv").write_text("\n".join(rows) + "\n")
    done = run("features", "mfcc", tmp_path / "c.tsv", "--out", tmp_path / "out")
    assert done.status == 1 and "missing.wav" in done.err.splitlines()[0] and done.err.endswith("1 of 2 failed\n")
    samples, _ = soundfile.read(recordings / "one.wav", dtype="float32")
    assert np.array_equal(np.load(tmp_path / "out" / "u1.npy"), asr.mfcc(samples[1600:4800], 16000))
    source = {"type": "file", "channels": [0], "source": str(recordings / "two.wav")}
    recording = {"id": "r", "sources": [source], "sampling_rate": 16000, "num_samples": 4800, "duration": 0.3}
    supervision = {"id": "s", "recording_id": "r", "start": 0, "duration": 0.3, "channel": 0, "speaker": "x"}
    (tmp_path / "recordings.jsonl").write_text(json.dumps(recording) + "\n")
    (tmp_path / "supervisions.jsonl").write_text(json.dumps(supervision) + "\n")
    done = run("features", "mfcc", tmp_path / "recordings.jsonl", "--out", tmp_path / "more")
    assert done.status == 0 and (tmp_path / "more" / "s.npy").is_file(), done
