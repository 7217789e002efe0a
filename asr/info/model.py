"""Facts of models and graphs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..json_files import read_json
from . import Facts

if TYPE_CHECKING:
    from ..features.pipeline import FeaturePipeline
    from ..graph.const_fst import Graph

_CARD_LINES = 6  # of the model's card
_FRONT_ENDS = {
    "mfcc": "MFCC",
    "fbank": "log mel filter outputs",
    "lpc": "LPC coefficients",
    "lpcc": "LPC cepstra",
    "reflection_coefficients": "reflection coefficients",
    "pitch": "pitch and voicing values",
}


def model_facts(path: Path) -> Facts:
    """Facts of a model directory or a shipped model. Raises AsrError where it cannot be loaded."""
    from ..model import find_model, load

    directory = find_model(path)
    model = load(path)
    description = read_json(directory / "model.json", error=ModelError)
    facts: Facts = {
        "what": "model",
        "where": str(directory),
        "kind": description["kind"],
        "features": in_words(model.features),
        "sample_rate": model.sample_rate,
        "streaming": model.streaming,
        "adaptation": None if model.aligner is None else "fMLLR: to each speaker, from a first pass",
        "phones": model.lexicon.n_phones,
        "words": model.lexicon.n_words,
        "pronunciations": len(model.lexicon.entries),
        "context_width": None if model.tree is None else model.tree.context_width,
        "pdfs": None if model.tree is None else model.tree.n_pdfs,
        "outputs": f"{model.transitions.n_pdfs}: the blank and each phone" if model.tree is None else None,
        "gaussians": getattr(model.acoustic, "n_gauss", None),
        "network": _network(description),
        "subsampling": model.subsampling if model.subsampling > 1 else None,
        "parameters": int(sum(a.size for a in model.acoustic.arrays().values() if a.dtype.kind == "f")),
        "transition_ids": None if model.tree is None else model.transitions.n_transition_ids,
        "graph": None if model.graph is None else _graph(model.graph),
        "decoding": asdict(model.decoding),
        "seed": model.seed,
        "written_by": ", ".join(f"{name} {version}" for name, version in description.get("versions", {}).items()),
        "bytes": sum(p.stat().st_size for p in directory.iterdir() if p.is_file()),
        "phone_names": " ".join(list(model.lexicon.phones)[1 : model.lexicon.n_phones + 1]),
    }
    card = [line for line in model.card.splitlines() if line.strip()]
    facts["card"] = card[:_CARD_LINES]
    return facts


def _network(description: dict[str, Any]) -> str | None:
    """What the networks of a model are, and what runs them; None for Gaussians."""
    networks = [network.get("kind", "?") for network in description.get("network", [])]
    if not networks:
        return None
    runs = "onnxruntime" if description["network_file"].endswith(".onnx") else "torch"
    return f"{', '.join(networks)}, run by {runs}"


def in_words(pipeline: "FeaturePipeline") -> str:
    """A feature pipeline as a person would say it.

    >>> from asr.features.pipeline import FeaturePipeline
    >>> in_words(FeaturePipeline(8000, ({"kind": "mfcc"}, {"kind": "delta", "order": 2})))
    '13 MFCC every 10 ms from 25 ms at 8000 Hz, derivatives up to order 2: 39 values'
    >>> in_words(FeaturePipeline(8000, ({"kind": "mfcc", "pitch": {}},)))
    '13 MFCC with pitch and voicing every 10 ms from 25 ms at 8000 Hz: 16 values'
    """
    from ..features.pitch import PITCH_DIM

    first, *rest = pipeline.steps
    if first["kind"] in _FRONT_ENDS:
        options = pipeline.options
        with_pitch = " with pitch and voicing" if "pitch" in first else ""
        n_pitch = PITCH_DIM if "pitch" in first else 0
        name = f"{pipeline.raw_dim - n_pitch} {_FRONT_ENDS[first['kind']]}{with_pitch}"
        name += f" every {options.frame_shift:g} ms from {options.frame_length:g} ms at {pipeline.sample_rate} Hz"
    else:
        name = f"{pipeline.raw_dim} values given with the corpus, one frame every {1000 * pipeline.frame_shift:g} ms"
    said = [name, *(_step(step) for step in rest)]
    return f"{', '.join(said)}: {pipeline.dim} values"


def _step(step: dict[str, Any]) -> str:
    if step["kind"] == "cmvn":
        what = "mean and variance" if step.get("norm_vars") else "mean"
        return f"{what} normalised ({step['mode']})"
    if step["kind"] == "delta":
        return f"derivatives up to order {step.get('order', 2)}"
    if step["kind"] == "splice":
        return f"spliced with {step.get('left', 4)} before and {step.get('right', 4)} after"
    if step["kind"] == "affine":
        return "times a learned matrix"
    return str(step["kind"])


def graph_facts(path: Path) -> Facts:
    """Facts of a graph file. Raises GraphError where it is damaged."""
    from ..graph.const_fst import Graph

    graph = Graph.read(path)
    return {"what": "graph", "where": str(path), **_graph(graph), "bytes": path.stat().st_size}


def _graph(graph: "Graph") -> Facts:
    arcs, states = graph.arcs, graph.states
    labels = {name: arcs[name][arcs[name] != 0] for name in ("ilabel", "olabel")} if graph.n_arcs else {}
    ranges = {name: f"{int(used.min())} to {int(used.max())}" if len(used) else "none" for name, used in labels.items()}
    base: Any = arcs
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return {
        "states": graph.n_states,
        "arcs": graph.n_arcs,
        "start": graph.start,
        "final_states": int(np.isfinite(states["final"]).sum()),
        "input_epsilons": int(states["n_input_epsilons"].sum()),
        "output_epsilons": int(states["n_output_epsilons"].sum()),
        "input_labels": ranges.get("ilabel", "none"),
        "output_labels": ranges.get("olabel", "none"),
        "most_arcs_of_a_state": int(states["n_arcs"].max(initial=0)),
        "memory_mapped": base is not None,
    }
