"""Writing a model directory, and reading one with suspicion: what is damaged, foreign or hostile in it is an error."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, cast

import numpy as np

from .._version import __version__
from ..audio import RATES
from ..errors import GraphError, ModelError
from ..features.pipeline import FeaturePipeline
from ..files import kind_of, sha256
from ..files.json_files import read_json
from ..lang.lexicon import Lexicon
from ..lang.symbols import SymbolTable
from .acoustic import ONNX_FILE, TORCH_FILE, AcousticModel, NetworkModel
from .adaptation import SUFFIX, UNADAPTED, Adaptation, SpeakerAdaptation, read_gmms
from .confidence import Calibrator
from .fit import Reference
from .parts import COPY_AGAIN, load_arrays, reading, save_arrays
from .units import UNITS, Units

if TYPE_CHECKING:
    from ..gmm.model import DiagGmms
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph
    from .model import Model

FORMAT = 1
# How graphs and alignments are made here, in Kaldi's words.
CONVENTIONS = {"reorder": True, "transition_scale": 1.0, "self_loop_scale": 0.1}
_LETTERS = "letters.tsv"
_NEEDED = ("phones.txt", "words.txt", "lexicon.tsv", "transforms.npz")  # by every model
# Larger files are checked by size alone, and larger graphs by the decoder: reading a gigabyte takes its time.
_HASHED_BYTES = 64 << 20


class Family(Protocol):
    """How acoustic models of a family are kept.

    Attributes:
        estimates_transforms: whether such a model finds the transforms of speakers itself.
    """

    estimates_transforms: ClassVar[bool]

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        """The files that one needs.

        Args:
            description: model.json.
        """
        ...

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        """Write the files; returns what model.json says of them."""
        ...

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        """What `write` wrote, of a dimension and for some pdfs; and the GMMs that find transforms, if these are it.

        Raises:
            ModelError: naming the file.
        """
        ...


class _Gmms:
    """Gaussians, in am.npz."""

    estimates_transforms: ClassVar[bool] = True

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        return ("am.npz",)

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        save_arrays(directory / "am.npz", acoustic.arrays())
        return {}

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        gmms = read_gmms(directory / "am.npz", dim, n_pdfs)
        return gmms, gmms


class _Networks:
    """A network of torch's or in ONNX, with priors in am.npz; see asr.model.networks."""

    estimates_transforms: ClassVar[bool] = False

    def files(self, description: Mapping[str, Any]) -> tuple[str, ...]:
        file = description.get("network_file")
        return ("am.npz", file if file in (TORCH_FILE, ONNX_FILE) else TORCH_FILE)

    def write(self, directory: Path, acoustic: AcousticModel) -> dict[str, Any]:
        from .networks import write_network

        return write_network(directory, cast(NetworkModel, acoustic))

    def read(
        self, directory: Path, description: Mapping[str, Any], dim: int, n_pdfs: int
    ) -> "tuple[AcousticModel, DiagGmms | None]":
        from .networks import check_runnable, read_network

        check_runnable(directory, description)
        path = directory / "am.npz"
        with reading(path):
            arrays = load_arrays(path)
        with reading(directory / str(description.get("network_file"))):
            acoustic = read_network(directory, description, arrays, dim, n_pdfs)
            if acoustic.subsampling != description["subsampling"]:
                raise ModelError(
                    f"subsampling is {acoustic.subsampling}; model.json says {description['subsampling']!r}"
                )
        return acoustic, None


FAMILIES: dict[str, Family] = {"gmm": _Gmms(), "dnn": _Networks()}
"""By `AcousticModel.family`."""


class Kind(NamedTuple):
    """What a model is made of."""

    units: type[Units]
    acoustic: Family
    adapts: bool


def kinds() -> dict[str, Kind]:
    """All kinds of models, by what model.json calls them."""
    return {
        units.kind(family) + SUFFIX * adapts: Kind(units, FAMILIES[family], adapts)
        for units in UNITS
        for family in units.acoustics
        for adapts in ((False, True) if units.adapts else (False,))
    }


def kind_of_model(model: "Model") -> str:
    """What model.json calls it."""
    return model.units.kind(model.acoustic.family) + SUFFIX * model.adaptation.adapts


def write_parts(model: "Model", directory: Path) -> dict[str, Any]:
    """Write a model's files into a folder; returns what model.json says of it, but for the files."""
    model.lexicon.phones.save(directory / "phones.txt")
    model.lexicon.words.save(directory / "words.txt")
    model.lexicon.save(directory / "lexicon.tsv")
    model.units.write(directory)
    save_arrays(directory / "transforms.npz", model.features.arrays())
    network = FAMILIES[model.acoustic.family].write(directory, model.acoustic)
    model.adaptation.write(directory, model.acoustic)
    if model.graph is not None:
        model.graph.save(directory)
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
        **({"calibrator": model.calibrator.to_json()} if model.calibrator else {}),
        "seed": model.seed,
        "versions": {"hclg": __version__, "numpy": np.__version__},
    }


def read_directory(directory: Path) -> dict[str, Any]:
    """The fields of a `Model`, with "decoding" as a plain dictionary of numbers.

    Raises:
        ModelError: naming the file, for whatever in it is missing, damaged, of another format, or does not belong to
            the rest.
        GraphError: naming the file, for whatever in it is missing, damaged, of another format, or does not belong to
            the rest.
        LexiconError: naming the file, for whatever in it is missing, damaged, of another format, or does not belong to
            the rest.
    """
    description = _read_description(directory)
    kind = kinds()[description["kind"]]
    _check_files(directory, description, kind)
    lexicon = _read_lexicon(directory)
    units = kind.units.read(directory, lexicon)
    features, others = _read_settings(directory, description)
    acoustic, gmms = kind.acoustic.read(directory, description, features.dim, units.n_pdfs)
    adaptation: Adaptation = UNADAPTED
    if kind.adapts:
        adaptation = SpeakerAdaptation.read(directory, features.dim, units.n_pdfs, gmms)
    with reading(directory / "model.json"):
        _check_facts(description, features, acoustic, adapts=kind.adapts)
    letters = None
    if _LETTERS in description["files"]:
        from ..lang.letters import LetterTable

        with reading(directory / _LETTERS):
            letters = LetterTable.load(directory / _LETTERS)
    return {
        "features": features,
        "lexicon": lexicon,
        "letters": letters,
        "units": units,
        "acoustic": acoustic,
        "adaptation": adaptation,
        "graph": _read_graph(directory, lexicon, units),
        "card": (directory / "README.md").read_text(encoding="utf-8", errors="replace"),
        **others,
    }


def _read_settings(directory: Path, description: Mapping[str, Any]) -> tuple[FeaturePipeline, dict[str, Any]]:
    """The feature pipeline, and what else model.json says itself: decoding, seed, joiner, reference, calibrator."""
    with reading(directory / "transforms.npz"):
        transforms = load_arrays(directory / "transforms.npz")
    with reading(directory / "model.json"):
        rate = description["features"]["sample_rate"]
        if isinstance(rate, int) and rate != 0 and not RATES[0] <= rate <= RATES[1]:  # 0: features are given
            raise ModelError(f"sample_rate={rate}; need {RATES[0]} to {RATES[1]} Hz")
        features = FeaturePipeline.from_json(description["features"], transforms)
        features.finish([np.zeros((1, features.raw_dim), np.float32)], [""])  # raises what would fail later
        joiner = description.get("joiner", "")  # older models have whole words
        if not isinstance(joiner, str) or joiner.split() not in ([], [joiner]):
            raise ModelError(f"joiner {joiner!r}; need a sign without blanks")
        return features, {
            "decoding": {name: _number(name, value) for name, value in description["decoding"].items()},
            "seed": int(description["seed"]),
            "joiner": joiner,
            "reference": Reference.from_json(description["reference"]) if "reference" in description else None,
            "calibrator": Calibrator.from_json(description["calibrator"]) if "calibrator" in description else None,
        }


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
            raise ModelError(f"{path}: {key} is {description[key]!r:.80}; need a {wanted.__name__}; {COPY_AGAIN}")
    if description.get("kind") not in tuple(kinds()):  # which may be of any type
        known = ", ".join(map(repr, kinds()))
        raise ModelError(f"{path}: kind {description.get('kind')!r}; this version of asr knows {known}")
    return description


def _written_by(description: Mapping[str, Any]) -> str:
    versions = description.get("versions")
    version = versions.get("hclg") if isinstance(versions, dict) else None
    return f"hclg {version}" if version else "or train it again"


def _check_files(directory: Path, description: Mapping[str, Any], kind: Kind) -> None:
    """Raise ModelError where a file that a model of this kind needs is missing, or is not the one that was saved."""
    files = description["files"]
    adaptation = SpeakerAdaptation.files(own_gmms=not kind.acoustic.estimates_transforms) if kind.adapts else ()
    needed = (*_NEEDED, *kind.units.files, *kind.acoustic.files(description), *adaptation)
    for name in (*needed, "README.md", *files):
        if Path(name).name != name or kind_of(directory / name) != "file":
            raise ModelError(f"{directory}: {name!r} is missing or not a file; {COPY_AGAIN}")
    for name in needed:
        if name not in files:
            raise ModelError(f"{directory / 'model.json'}: lists no checksum of {name}; {COPY_AGAIN}")
    for name, expected in files.items():
        path = directory / name
        if name == "README.md":
            continue  # people may edit the card
        with reading(path):
            size = path.stat().st_size
            if size != expected["bytes"] or (size <= _HASHED_BYTES and sha256(path) != expected["sha256"]):
                raise ModelError(
                    f"{path}: not the file that was saved (size or checksum differs); copy the model again"
                )


def _read_lexicon(directory: Path) -> Lexicon:
    lexicon = Lexicon.load(directory / "lexicon.tsv")
    for name, table in (("phones.txt", lexicon.phones), ("words.txt", lexicon.words)):
        with reading(directory / name):
            if SymbolTable.load(directory / name) != table:
                raise ModelError(f"{directory / name}: does not belong to lexicon.tsv; {COPY_AGAIN}")
    return lexicon


def _check_facts(
    description: Mapping[str, Any], features: FeaturePipeline, acoustic: AcousticModel, *, adapts: bool
) -> None:
    """Raise unless the model is the one that model.json describes."""
    facts = {
        "sample_rate": features.sample_rate,
        "streaming": features.streaming and acoustic.is_framewise and not adapts,
        "frame_shift": features.frame_shift,
        "subsampling": acoustic.subsampling,
        "graph": CONVENTIONS,
    }
    for name, value in facts.items():
        if description.get(name) != value:
            raise ModelError(f"{name} is {description.get(name)!r}; this version of asr makes it {value!r} here")


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ModelError(f"decoding: {name} is {value!r}; need a number")
    return value


def _read_graph(directory: Path, lexicon: Lexicon, units: Units) -> "Graph | DynamicGraph | None":
    """The graph, whose labels must be the units' and words; None where the model has none."""
    from ..graph.const_fst import Graph

    path = directory / "HCLG.fst"
    if kind_of(path) != "missing" and kind_of(directory / "HCL.fst") != "missing":
        raise ModelError(f"{directory}: has both HCLG.fst and HCL.fst, two graphs; remove the one that is not meant")
    if kind_of(path) != "missing":
        with reading(path):
            graph = Graph.read(path)
        _check_graph(path, graph, lexicon, units)
        return graph
    path = directory / "HCL.fst"
    if kind_of(path) == "missing":
        return None
    from ..graph.dynamic import DynamicGraph

    path, grammar, reach = (directory / name for name in DynamicGraph.files)
    with reading(path):
        words = Graph.read(path)
    _check_graph(path, words, lexicon, units)
    with reading(grammar):
        histories = Graph.read(grammar)
    with reading(reach):
        made = DynamicGraph.of_files(words, histories, load_arrays(reach))
        if made.words.n_words != lexicon.n_words:
            raise GraphError(f"{made.words.n_words} words; the lexicon has {lexicon.n_words}: build it from this model")
    return made


def _check_graph(path: Path, graph: "Graph", lexicon: Lexicon, units: Units) -> None:
    """Raise GraphError for a graph without start, or with labels that the model does not have."""
    if not 0 <= graph.start < graph.n_states:
        raise GraphError(f"{path}: the graph has no start state; build it anew")
    if graph.n_arcs == 0 or graph.arcs.nbytes > _HASHED_BYTES:
        return
    for field, most, what in (
        ("ilabel", units.n_labels, "transition ids"),
        ("olabel", lexicon.n_words, "words"),
    ):
        largest = int(graph.arcs[field].max())
        if largest > most:
            raise GraphError(f"{path}: has the label {largest}; the model has {most} {what}: build it from this model")
    if not (graph.arcs["weight"].min() > -np.inf and graph.states["final"].min() > -np.inf):
        raise GraphError(f"{path}: has a cost of minus infinity; build it anew")
