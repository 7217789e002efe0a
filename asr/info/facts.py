"""What describes something: names beside values."""

from typing import Any

Facts = dict[str, Any]  # what json.dumps takes: numbers, texts, lists of them, tables as lists of such dictionaries


KINDS = (
    "a model (directory or shipped name), a corpus (folder, Kaldi data directory, table, Lhotse manifests), a graph "
    "(.fst), features (.npy, .ark, .scp, .npz), a lexicon (.txt, .tsv, .dict), a language model (.arpa, .arpa.gz, "
    ".ngram), a G2P model, a tree.json, a recording, or what else training and recipes write"
)
