"""Facts of models and graphs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ModelError
from ..files.json_files import read_json
from .facts import Facts

if TYPE_CHECKING:
    from ..graph.const_fst import Graph
    from ..graph.dynamic import DynamicGraph

_CARD_LINES = 6  # of the model's card


def model_facts(path: Path) -> Facts:
    """Facts of a model directory or a shipped model.

    Raises:
        AsrError: where it cannot be loaded.
    """
    from ..model.model import find_model, load

    directory = find_model(path)
    model = load(path)
    description = read_json(directory / "model.json", error=ModelError)
    units = model.units.facts()
    facts: Facts = {
        "what": "model",
        "where": str(directory),
        "kind": description["kind"],
        "features": model.features.words(),
        "sample_rate": model.sample_rate,
        "streaming": model.streaming,
        "adaptation": "fMLLR: to each speaker, from a first pass" if model.adaptation.adapts else None,
        "phones": model.lexicon.n_phones,
        "words": model.lexicon.n_words,
        "new_words": None if model.letters is None else f"spelled, by {len(model.letters.spellings)} letters",
        "pronunciations": len(model.lexicon.entries),
        **{name: units.get(name) for name in ("context_width", "pdfs", "outputs")},
        "gaussians": model.acoustic.n_gauss or None,
        "network": _network(description),
        "subsampling": model.subsampling if model.subsampling > 1 else None,
        "parameters": model.acoustic.n_parameters,
        "transition_ids": units.get("transition_ids"),
        "graph": None if model.graph is None else _GRAPHS[model.graph.search](model.graph),
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


def graph_facts(path: Path) -> Facts:
    """Facts of a graph file.

    Raises:
        GraphError: where it is damaged.
    """
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
        "words": None if not len(labels.get("olabel", ())) else len(np.unique(labels["olabel"])),
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


def _dynamic(graph: "DynamicGraph") -> Facts:
    words, grammar, reach = graph.words.graph, graph.grammar, graph.words.reach
    return {
        "composed": "while decoding, exact back-off" if graph.exact else "while decoding",
        "words": len(graph.word_ids()),
        "states": words.n_states,
        "arcs": words.n_arcs,
        "histories": grammar.n_states,
        "ngrams": grammar.n_arcs - int(grammar.states["n_input_epsilons"].sum()),
        "sets_of_words": reach.n_sets,
    }


_GRAPHS: dict[str, Any] = {"static": _graph, "dynamic": _dynamic}
