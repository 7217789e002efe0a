from .reference import reference_decode as reference_decode
from .skipping import decode_spoken_rows as decode_spoken_rows
from .skipping import rows_to_search as rows_to_search
from .viterbi import BestPath as BestPath
from .viterbi import SearchOptions as SearchOptions
from .viterbi import ViterbiDecoder as ViterbiDecoder
