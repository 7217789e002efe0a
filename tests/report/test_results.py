import json

import pytest

from asr.errors import AsrError, ConfigError
from asr.report.results import ResultRow, read_results, results_table, write_results


def row(**changes):
    values = {
        "model": "mono",
        "features": "mfcc",
        "variant": "",
        "adaptation": "none",
        "test": "official",
        "metric": "wer",
        "seed": 0,
        "value": 100 * 2 / 300,
        "errors": 2,
        "total": 300,
        "train_cpu_seconds": 20.5,
        "decode_rtf": 0.0123,
    }
    return ResultRow(**(values | changes))


def test_rows_come_back(tmp_path):
    rows = [row(), row(seed=1), row(test="loso", value=20.0, errors=60)]
    write_results(tmp_path / "results.json", rows)
    back = read_results(tmp_path / "results.json")
    assert [r.key for r in back] == [r.key for r in rows]
    assert back[0].value == pytest.approx(2 / 3, abs=1e-4) and back[2] == rows[2]
    listed = json.loads((tmp_path / "results.json").read_text())
    assert list(listed[0]) == [
        *("model", "features", "variant", "adaptation", "test", "metric", "seed"),
        *("value", "errors", "total", "train_cpu_seconds", "decode_rtf"),
    ]
    kinds = {"substitutions": 1, "deletions": 0, "insertions": 1, "edges_within_50_ms": 91.25}
    write_results(tmp_path / "results.json", [row(**kinds)])
    assert read_results(tmp_path / "results.json")[0] == row(**kinds, value=0.6667)
    write_results(tmp_path / "empty.json", [])
    assert read_results(tmp_path / "empty.json") == []


def test_rows_are_unique(tmp_path):
    with pytest.raises(ConfigError, match="two results for model='mono', features='mfcc'"):
        write_results(tmp_path / "results.json", [row(), row(value=1.0, errors=3)])
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"adaptation": "some"},
        {"metric": "ser"},
        {"value": 5.0},
        {"total": 0, "value": 0.0},
        {"substitutions": 1, "deletions": 1, "insertions": 1},
        {"substitutions": 2},
    ],
)
def test_impossible_rows_are_refused(changes):
    with pytest.raises(ConfigError, match=next(iter(changes))):
        row(**changes)


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"model": "mono"}]', "nonsense"])
def test_other_files_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(AsrError, match=r"r\.json"):
        read_results(tmp_path / "r.json")


def test_table_is_aligned_markdown():
    lines = results_table([row(), row(test="loso", value=20.0, errors=60)]).splitlines()
    assert len(lines) == 4 and len({len(line) for line in lines}) == 1
    assert "variant" not in lines[0] and "wer %" in lines[0]
    assert [cell.strip() for cell in lines[3].split("|")[1:5]] == ["mono", "mfcc", "none", "loso"]
    assert " 0.67 |" in lines[2] and "60/300" in lines[3]
    assert "speed" in results_table([row(variant="speed")])
    assert "sub" not in lines[0] and "edges" not in lines[0]
    mixed = results_table([row(), row(seed=1, substitutions=2, deletions=0, insertions=0, edges_within_50_ms=90.0)])
    head, _, without, having = ([cell.strip() for cell in line.split("|")[1:-1]] for line in mixed.splitlines())
    of_first, of_second = dict(zip(head, without, strict=True)), dict(zip(head, having, strict=True))
    assert (of_second["sub"], of_second["del"], of_second["edges in 50 ms %"]) == ("2", "0", "90.0")
    assert of_first["sub"] == of_first["edges in 50 ms %"] == ""
