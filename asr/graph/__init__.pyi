from .arpa import arpa_grammar as arpa_grammar
from .const_fst import Graph as Graph
from .grammar import sequence as sequence
from .grammar import word_loop as word_loop
from .hclg import compile_hclg as compile_hclg
