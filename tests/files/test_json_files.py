"""JSON of strangers' files: every damage is an error that names the file."""

import json

import pytest

import asr.files.json_files
from asr.errors import AsrError, ConfigError, ModelError
from asr.files.json_files import parse_json, read_json, taking_apart


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not JSON"),
        (b"[1]", r"need an object, \{ \.\.\. \} of JSON; it holds a list"),
        (b"5", "it holds a int"),
        (b"\xff{}", "not JSON, or damaged"),
        (b"{" * 10, "not JSON"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not JSON"),
    ],
)
def test_json_that_is_none(tmp_path, content, complaint):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ModelError, match=rf"x\.json: .*{complaint}"):
        read_json(tmp_path / "x.json", error=ModelError)


def test_json_of_any_kind(tmp_path):
    for content, kind in (({"a": 1}, dict), ([1], list), (3, object)):
        (tmp_path / "x.json").write_text(json.dumps(content))
        assert read_json(tmp_path / "x.json", kind=kind) == content
        assert parse_json(json.dumps(content), "x", kind=kind) == content


def test_files_that_cannot_be_read_or_never_end(tmp_path, monkeypatch):
    (tmp_path / "lost").symlink_to("nowhere")
    for name in ("nothing", "lost", ".", "a\0b"):
        with pytest.raises(ModelError, match="cannot be read: "):
            read_json(tmp_path / name, error=ModelError)
    monkeypatch.setattr(asr.files.json_files, "_MOST", 3_000_000)
    for path in (tmp_path / "sparse", "/dev/zero"):
        if path != "/dev/zero":
            with path.open("wb") as stream:
                stream.truncate(50 << 30)
        with pytest.raises(AsrError, match=r"holds more than 2\.861 MiB, the limit for such a file"):
            read_json(path)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: {}["loss"],
        lambda: [][3],
        lambda: int("x"),
        lambda: int(float("inf")),
        lambda: None + 1,
        lambda: None.get("x"),
        lambda: 1 // 0,
    ],
)
def test_whatever_is_wrong_with_the_content_names_the_file(wrong):
    complaint = pytest.raises(ModelError, match=r"^x\.json: not a checkpoint, or damaged \(.+\)$")
    with complaint, taking_apart("x.json", what="a checkpoint", error=ModelError):
        wrong()


def test_errors_of_our_own_keep_their_words():
    for problem, words in (
        (ConfigError("bad"), r"^x\.json: not a model, or damaged \(bad\)$"),
        (ModelError("x.json: format 9"), r"^x\.json: format 9$"),
    ):
        with pytest.raises(ModelError, match=words), taking_apart("x.json", what="a model", error=ModelError):
            raise problem
