from .dictionary import dictionary_lexicon as dictionary_lexicon
from .letters import LetterTable as LetterTable
from .letters import letter_lexicon as letter_lexicon
from .lexicon import Lexicon as Lexicon
from .sources import BuiltLexicon as BuiltLexicon
from .sources import build_lexicon as build_lexicon
