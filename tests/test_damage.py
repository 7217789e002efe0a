"""Models, networks and checkpoints with seeded damage: they load and work, or an error of ours names what is wrong."""

import hashlib
import json
import random
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

import asr
from asr.errors import AsrError

SECONDS = 60  # a hang is longer


@pytest.fixture(autouse=True)
def no_hang():
    def late(number, frame):
        raise TimeoutError("a damaged file takes too long")

    old = signal.signal(signal.SIGALRM, late)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


def damaged(raw, rng):
    """The bytes with some flipped, cut off, taken out, or put in."""
    place = rng.randrange(len(raw) + 1)
    size = rng.choice([1, 4, 50])
    kind = rng.randrange(4)
    if kind == 0:
        flipped = bytearray(raw)
        for _ in range(size):
            flipped[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        return bytes(flipped)
    if kind == 1:
        return raw[:place]
    if kind == 2:
        return raw[:place] + raw[place + size :]
    return raw[:place] + rng.randbytes(size) + raw[place:]


def with_other_value(raw, rng):
    """JSON with one value replaced by one that nobody expects there, or taken out."""
    content = json.loads(raw)
    inner = content
    while True:
        keys = list(inner) if isinstance(inner, dict) else range(len(inner))
        key = rng.choice(list(keys))
        if not isinstance(inner[key], (dict, list)) or not inner[key] or rng.random() < 0.3:
            break
        inner = inner[key]
    if rng.random() < 0.2:
        del inner[key]
    else:
        inner[key] = rng.choice([0, -1, 10**9, 1e999, 10**30, "x", "", None, True, [], {}, [[1]], {"kind": 1}])
    return json.dumps(content).encode()


def renew(folder):
    """Make model.json's checksums right again, where it can be read: a stranger's would be."""
    try:
        description = json.loads((folder / "model.json").read_bytes())
        for name in description["files"]:
            content = (folder / name).read_bytes()
            description["files"][name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return
    (folder / "model.json").write_text(json.dumps(description))


def check_all(whole, tmp_path, count, use, *, only=()):
    """Damage each file of a folder `count` times, and use the folder."""
    outcomes = {"works": 0, "refused": 0}
    for name in sorted(p.name for p in whole.iterdir() if not only or p.name in only):
        rng = random.Random(name)
        raw = (whole / name).read_bytes()
        for number in range(count):
            folder = tmp_path / "damaged"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(whole, folder)
            change = with_other_value if name.endswith(".json") and number % 2 else damaged
            (folder / name).write_bytes(change(raw, rng))
            renew(folder)
            signal.alarm(SECONDS)
            try:
                with np.errstate(all="ignore"):
                    use(folder)
                outcomes["works"] += 1
            except AsrError as error:
                assert str(error)
                outcomes["refused"] += 1
            signal.alarm(0)
    assert outcomes["refused"] > count
    return outcomes


@pytest.fixture(scope="module")
def samples(sample):
    return asr.audio.read(sample, 8000).samples[:4000]


def test_a_damaged_model_works_or_is_refused(digits_model, samples, tmp_path):
    whole = digits_model.save(tmp_path / "whole")
    check_all(whole, tmp_path, 25, lambda folder: asr.load(folder).transcribe(samples, 8000))


@pytest.fixture(scope="module")
def hybrid(digits_model):
    pytest.importorskip("torch")
    from asr.model.torch import NetworkAcoustic
    from asr.nn import DnnConfig, build

    config = DnnConfig(context=2, hidden=(8, 8))
    network = build(config, digits_model.features.dim, digits_model.units.n_pdfs)
    return replace(digits_model, acoustic=NetworkAcoustic(network.eval(), config, np.zeros(digits_model.units.n_pdfs)))


NETWORK_FILES = ("model.json", "am.npz", "am.safetensors", "am.onnx")


@pytest.mark.parametrize("form", ["torch", "onnx"])
def test_a_damaged_network_works_or_is_refused(hybrid, samples, tmp_path, form):
    model = hybrid
    if form == "onnx":
        pytest.importorskip("onnxruntime")
        from asr.model.export import export_onnx

        model = export_onnx(hybrid).model
    whole = model.save(tmp_path / "whole")
    check_all(whole, tmp_path, 20, lambda f: asr.load(f).transcribe(samples, 8000), only=NETWORK_FILES)


def agree(folder):
    """Make a checkpoint's checksums right again, where it can be read."""
    path = folder / "last.json"
    try:
        content = json.loads(path.read_bytes())
        content["sha256"] = hashlib.sha256((folder / "last-1.safetensors").read_bytes()).hexdigest()
        content.pop("checksum", None)
        checksum = hashlib.sha256(json.dumps(content, indent=1).encode()).hexdigest()
    except (OSError, ValueError, TypeError, AttributeError):
        return
    path.write_text(json.dumps({**content, "checksum": checksum}))


def test_a_damaged_checkpoint_works_or_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    from asr.nn.checkpoints import load_checkpoint, save_checkpoint
    from asr.nn.optimization import Schedule, make_optimizer
    from asr.nn.options import TrainingOptions

    def parts():
        network, options = torch.nn.Linear(3, 2), TrainingOptions()
        return network, make_optimizer(network, options), Schedule(options)

    def step(network, optimizer, schedule):
        network(torch.ones(4, 3)).square().sum().backward()
        optimizer.step()
        schedule.report(1.0)
        return schedule.rate(3, 0.5)

    def use(folder):
        made = parts()
        load_checkpoint(folder / "last", *made)
        step(*made)

    made = parts()
    step(*made)
    (tmp_path / "whole").mkdir()
    save_checkpoint(tmp_path / "whole" / "last", *made, {"epoch": 1}, {"best": torch.ones(2)})
    use(tmp_path / "whole")
    before = torch.get_rng_state()
    check_all(tmp_path / "whole", tmp_path, 100, use)
    check_all(tmp_path / "whole", tmp_path, 100, lambda folder: (agree(folder), use(folder)))
    torch.set_rng_state(before)
