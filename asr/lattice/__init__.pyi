from .lattice import Lattice as Lattice
from .links import lattice_of as lattice_of
from .rescoring import Mixed as Mixed
from .rescoring import Ngrams as Ngrams
from .rescoring import rescored as rescored
from .risk import least_risk as least_risk
from .risk import word_posteriors as word_posteriors
from .words import WordLattice as WordLattice
