"""Writing a model directory, and reading one with suspicion: what is damaged, foreign or hostile in it is an error."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .._version import __version__
from ..audio import RATES
from ..ctc.tokens import CtcTokens
from ..errors import AsrError, GraphError, ModelError
from ..features.pipeline import FeaturePipeline
from ..files import kind_of, sha256
from ..files.arrays import read_npz
from ..files.json_files import read_json
from ..hmm.topology import Topology
from ..hmm.transitions import TransitionModel
from ..hmm.tree import ContextDependency, tree_from_json
from ..lang.letters import LetterTable
from ..lang.lexicon import Lexicon
from ..lang.symbols import SymbolTable
from .acoustic import ONNX_FILE, TORCH_FILE, NetworkModel
from .fit import Reference
from .networks import check_runnable, read_network, write_network

if TYPE_CHECKING:
    from ..gmm.model import DiagGmms
    from ..graph.const_fst import Graph
    from .acoustic import AcousticModel
    from .model import Model

FORMAT = 1
KIND, ADAPTED_KIND = "gmm-hmm", "gmm-hmm-fmllr"  # the second adapts to speakers, which older versions cannot
NETWORK_KIND, ADAPTED_NETWORK_KIND = "dnn-hmm", "dnn-hmm-fmllr"  # GMMs adapt the features of the second to speakers
CTC_KIND = "ctc"  # a network without HMMs
_KINDS = (KIND, ADAPTED_KIND, NETWORK_KIND, ADAPTED_NETWORK_KIND, CTC_KIND)
_ADAPTED = {ADAPTED_KIND: ("aligner.npz",), ADAPTED_NETWORK_KIND: ("aligner.npz", "adapter.npz")}
# How graphs and alignments are made here, in Kaldi's words.
CONVENTIONS = {"reorder": True, "transition_scale": 1.0, "self_loop_scale": 0.1}
_LETTERS = "letters.tsv"
_HMM_FILES = ("transitions.npz", "tree.json")
_NEEDED = ("phones.txt", "words.txt", "lexicon.tsv", "transitions.npz", "tree.json", "transforms.npz", "am.npz")
# Larger files are checked by size alone, and larger graphs by the decoder: reading a gigabyte takes its time.
_HASHED_BYTES = 64 << 20
_COPY_AGAIN = "copy the whole model directory again"


def kind_of_model(model: "Model") -> str:
    """What model.json calls it."""
    if isinstance(model.transitions, CtcTokens):
        return CTC_KIND
    kinds = (NETWORK_KIND, ADAPTED_NETWORK_KIND) if isinstance(model.acoustic, NetworkModel) else (KIND, ADAPTED_KIND)
    return kinds[model.aligner is not None]


def write_parts(model: "Model", directory: Path) -> dict[str, Any]:
    """Write a model's files into a folder; returns what model.json says of it, but for the files."""
    model.lexicon.phones.save(directory / "phones.txt")
    model.lexicon.words.save(directory / "words.txt")
    model.lexicon.save(directory / "lexicon.tsv")
    is_ctc = isinstance(model.transitions, CtcTokens)
    if not is_ctc:
        _write_hmms(directory, *model.hmms)
    _save_arrays(directory / "transforms.npz", model.features.arrays())
    network: dict[str, Any] = {}
    if isinstance(model.acoustic, NetworkModel):
        network = write_network(directory, model.acoustic)
    else:
        _save_arrays(directory / "am.npz", model.acoustic.arrays())
    for name, gmms in (("aligner.npz", model.aligner), ("adapter.npz", model.adapter)):
        if gmms is not None:
            _save_arrays(directory / name, gmms.arrays())
    if model.graph is not None:
        model.graph.write(directory / "HCLG.fst")
    if model.letters is not None:
        model.letters.save(directory / _LETTERS)
    (directory / "README.md").write_text(model.card or "No card was written for this model.\n", encoding="utf-8")
    return {
        "format": FORMAT,
        "kind": kind_of_model(model),
        "sample_rate": model.sample_rate,
        "streaming": model.streaming,
        "features": model.features.to_json(),
        "decoding": asdict(model.decoding),
        "frame_shift": model.frame_shift,
        "subsampling": 1,
        "graph": CONVENTIONS,
        **network,
        **({"joiner": model.joiner} if model.joiner else {}),
        **({"reference": model.reference.to_json()} if model.reference else {}),
        "seed": model.seed,
        "versions": {"hclg": __version__, "numpy": np.__version__},
    }


def read_directory(directory: Path) -> dict[str, Any]:
    """The fields of a `Model`, with "decoding" as a plain dictionary of numbers.

    Raises ModelError, GraphError or LexiconError, naming the file, for whatever in it is missing, damaged, of another
    format, or does not belong to the rest.
    """
    description = _read_description(directory)
    _check_files(directory, description)
    check_runnable(directory, description)
    is_adapted = description["kind"] in _ADAPTED
    lexicon = _read_lexicon(directory)
    transitions: TransitionModel | CtcTokens
    if description["kind"] == CTC_KIND:
        transitions, tree = CtcTokens(lexicon.n_phones), None
    else:
        transitions, tree = _read_hmms(directory, lexicon)
    with _reading(directory / "transforms.npz"):
        transforms = load_arrays(directory / "transforms.npz")
    with _reading(directory / "model.json"):
        rate = description["features"]["sample_rate"]
        if isinstance(rate, int) and rate != 0 and not RATES[0] <= rate <= RATES[1]:  # 0: features are given
            raise ModelError(f"sample_rate={rate}; need {RATES[0]} to {RATES[1]} Hz")
        features = FeaturePipeline.from_json(description["features"], transforms)
        _check_features(description, features)
        decoding = {name: _number(name, value) for name, value in description["decoding"].items()}
        seed = int(description["seed"])
        joiner = description.get("joiner", "")  # older models have whole words
        if not isinstance(joiner, str) or joiner.split() not in ([], [joiner]):
            raise ModelError(f"joiner {joiner!r}; need a sign without blanks")
        reference = Reference.from_json(description["reference"]) if "reference" in description else None
    aligner: DiagGmms | None = None
    adapter: DiagGmms | None = None
    n_pdfs = transitions.n_pdfs if tree is None else tree.n_pdfs
    if description["kind"] in (KIND, ADAPTED_KIND):
        acoustic: AcousticModel = (gmms := _read_gmms(directory / "am.npz", features.dim, n_pdfs))
    else:
        acoustic = _read_network(directory, description, features.dim, n_pdfs)
        if is_adapted:
            gmms = adapter = _read_gmms(directory / "adapter.npz", features.dim, n_pdfs)
    if is_adapted:
        aligner = _read_aligner(directory / "aligner.npz", gmms)
    letters = None
    if _LETTERS in description["files"]:
        with _reading(directory / _LETTERS):
            letters = LetterTable.load(directory / _LETTERS)
    return {
        "features": features,
        "lexicon": lexicon,
        "letters": letters,
        "transitions": transitions,
        "tree": tree,
        "acoustic": acoustic,
        "aligner": aligner,
        "adapter": adapter,
        "graph": _read_graph(directory / "HCLG.fst", lexicon, transitions),
        "decoding": decoding,
        "seed": seed,
        "joiner": joiner,
        "reference": reference,
        "card": (directory / "README.md").read_text(encoding="utf-8", errors="replace"),
    }


def _write_hmms(directory: Path, transitions: TransitionModel, tree: ContextDependency) -> None:
    np.savez(
        directory / "transitions.npz",
        topology=np.array(json.dumps(transitions.topology.to_json())),
        tuples=transitions.tuples,
        log_probs=transitions.log_probs,
    )
    (directory / "tree.json").write_text(json.dumps(tree.to_json(), indent=1) + "\n", encoding="utf-8")


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an npz file that numpy.savez wrote. Objects are refused, and sizes that the file cannot hold."""
    arrays = read_npz(path, error=ModelError)
    for name, array in arrays.items():
        if array.dtype.kind not in "fiU":
            raise ModelError(f"{path}: {name!r} is no array of numbers; {_COPY_AGAIN}")
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError(f"{path}: {name!r} has values that are not finite; {_COPY_AGAIN}")
    return arrays


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Whatever goes wrong with a file's content becomes a ModelError that names the file."""
    try:
        yield
    except Exception as error:  # a stranger's file can make anything fail, from a missing key to memory
        if isinstance(error, AsrError) and str(path.parent) in str(error):
            raise
        if isinstance(error, PermissionError):
            raise ModelError(f"{path}: may not be read; give yourself the permission") from None
        what = str(error) if isinstance(error, AsrError) else f"{type(error).__name__}: {error}"
        raise ModelError(f"{path}: cannot be used ({what}); {_COPY_AGAIN}") from error


def _read_description(directory: Path) -> dict[str, Any]:
    path = directory / "model.json"
    description = read_json(path, error=ModelError)
    if not isinstance(description.get("files"), dict):
        raise ModelError(f"{path}: not a model description")
    if description.get("format") != FORMAT:
        raise ModelError(
            f"{path}: format {description.get('format')!r}; this version of asr reads format {FORMAT}: use the version "
            f"that wrote it, {_written_by(description)}"
        )
    for key, wanted in (("versions", dict), ("network", list)):
        if not isinstance(description.get(key, wanted()), wanted):
            raise ModelError(f"{path}: {key} is {description[key]!r:.80}; need a {wanted.__name__}; {_COPY_AGAIN}")
    if description.get("kind") not in _KINDS:
        known = ", ".join(map(repr, _KINDS))
        raise ModelError(f"{path}: kind {description.get('kind')!r}; this version of asr knows {known}")
    return description


def _written_by(description: Mapping[str, Any]) -> str:
    versions = description.get("versions")
    version = versions.get("hclg") if isinstance(versions, dict) else None
    return f"hclg {version}" if version else "or train it again"


def _check_files(directory: Path, description: Mapping[str, Any]) -> None:
    files, kind = description["files"], description["kind"]
    needed: tuple[str, ...] = (*_NEEDED, *_ADAPTED.get(kind, ()))
    if kind == CTC_KIND:
        needed = tuple(name for name in needed if name not in _HMM_FILES)
    if kind in (NETWORK_KIND, ADAPTED_NETWORK_KIND, CTC_KIND):
        network = description.get("network_file")
        needed = (*needed, network if network in (TORCH_FILE, ONNX_FILE) else TORCH_FILE)
    for name in (*needed, "README.md", *files):
        if Path(name).name != name or kind_of(directory / name) != "file":
            raise ModelError(f"{directory}: {name!r} is missing or not a file; {_COPY_AGAIN}")
    for name in needed:
        if name not in files:
            raise ModelError(f"{directory / 'model.json'}: lists no checksum of {name}; {_COPY_AGAIN}")
    for name, expected in files.items():
        path = directory / name
        if name == "README.md":
            continue  # people may edit the card
        with _reading(path):
            size = path.stat().st_size
            if size != expected["bytes"] or (size <= _HASHED_BYTES and sha256(path) != expected["sha256"]):
                raise ModelError(
                    f"{path}: not the file that was saved (size or checksum differs); copy the model again"
                )


def _read_lexicon(directory: Path) -> Lexicon:
    lexicon = Lexicon.load(directory / "lexicon.tsv")
    for name, table in (("phones.txt", lexicon.phones), ("words.txt", lexicon.words)):
        with _reading(directory / name):
            if SymbolTable.load(directory / name) != table:
                raise ModelError(f"{directory / name}: does not belong to lexicon.tsv; {_COPY_AGAIN}")
    return lexicon


def _read_hmms(directory: Path, lexicon: Lexicon) -> tuple[TransitionModel, ContextDependency]:
    """The transition model and the tree, which must belong to each other and to the lexicon's phones."""
    with _reading(directory / "tree.json"):
        tree = tree_from_json(read_json(directory / "tree.json", error=ModelError))
    path = directory / "transitions.npz"
    with _reading(path), np.errstate(all="ignore"):
        arrays = load_arrays(path)
        topology = Topology.from_json(json.loads(str(arrays["topology"])))
        without = set(range(1, lexicon.n_phones + 1)).difference(topology.phones)
        if without:
            raise ModelError(f"phone {lexicon.phones.name(min(without))!r} of lexicon.tsv has no HMM")
        if not np.array_equal(TransitionModel.from_tree(topology, tree).tuples, arrays["tuples"]):
            raise ModelError("its transition states are not those of its topology and tree.json")
        transitions = TransitionModel(topology, arrays["tuples"], arrays["log_probs"])
        log_probs = transitions.log_probs
        if log_probs.dtype != np.float64 or log_probs.ndim != 1 or not (log_probs <= 1e-6).all():
            raise ModelError("log_probs must be float64 logarithms of probabilities")
    return transitions, tree


def _check_features(description: Mapping[str, Any], features: FeaturePipeline) -> None:
    """Raise unless the pipeline works, and is the one that model.json describes."""
    features.finish([np.zeros((1, features.raw_dim), np.float32)], [""])
    facts = {
        "sample_rate": features.sample_rate,
        "streaming": features.streaming and description["kind"] == KIND,
        "frame_shift": features.frame_shift,
        "subsampling": description.get("subsampling") if description["kind"] in (NETWORK_KIND, CTC_KIND) else 1,
        "graph": CONVENTIONS,
    }
    for name, value in facts.items():
        if description.get(name) != value:
            raise ModelError(f"{name} is {description.get(name)!r}; this version of asr makes it {value!r} here")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ModelError(f"decoding: {name} is {value!r}; need a number")
    return value


def _read_gmms(path: Path, dim: int, n_pdfs: int) -> "DiagGmms":
    from ..gmm.model import DiagGmms

    with _reading(path), np.errstate(all="ignore"):
        gmms = DiagGmms.from_arrays(load_arrays(path))
        if (gmms.n_pdfs, gmms.dim) != (n_pdfs, dim):
            raise ModelError(
                f"has {gmms.n_pdfs} pdfs of {gmms.dim} dimensions; tree.json has {n_pdfs}, the features {dim}"
            )
        if not np.isfinite(gmms.coefficients).all():
            raise ModelError("its means and variances overflow")
    return gmms


def _read_network(directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int) -> NetworkModel:
    path = directory / "am.npz"
    with _reading(path):
        arrays = load_arrays(path)
    with _reading(directory / str(description.get("network_file"))):
        acoustic = read_network(directory, description, arrays, dim, n_pdfs)
        if acoustic.subsampling != description["subsampling"]:
            raise ModelError(f"subsampling is {acoustic.subsampling}; model.json says {description['subsampling']!r}")
    return acoustic


def _read_aligner(path: Path, adapted: "DiagGmms") -> "DiagGmms":
    """The model for features without a transform, whose Gaussians must be those of the one for adapted features."""
    aligner = _read_gmms(path, adapted.dim, adapted.n_pdfs)
    if not np.array_equal(aligner.offsets, adapted.offsets):
        raise ModelError(f"{path}: its Gaussians do not belong to those for adapted features; {_COPY_AGAIN}")
    return aligner


def _read_graph(path: Path, lexicon: Lexicon, transitions: TransitionModel | CtcTokens) -> "Graph | None":
    """The graph, whose labels must be transition ids and words; None where the model has none."""
    from ..graph.const_fst import Graph

    if kind_of(path) == "missing":
        return None
    with _reading(path):
        graph = Graph.read(path)
    if not 0 <= graph.start < graph.n_states:
        raise GraphError(f"{path}: the graph has no start state; build it anew")
    if graph.n_arcs == 0 or graph.arcs.nbytes > _HASHED_BYTES:
        return graph
    for field, most, what in (
        ("ilabel", transitions.n_transition_ids, "transition ids"),
        ("olabel", lexicon.n_words, "words"),
    ):
        largest = int(graph.arcs[field].max())
        if largest > most:
            raise GraphError(f"{path}: has the label {largest}; the model has {most} {what}: build it from this model")
    if not (graph.arcs["weight"].min() > -np.inf and graph.states["final"].min() > -np.inf):
        raise GraphError(f"{path}: has a cost of minus infinity; build it anew")
    return graph


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(path, **dict(arrays))  # type: ignore[arg-type]
