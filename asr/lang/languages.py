"""Codes of languages: which exist, and the nearest one to a code that does not."""

import difflib
import re

from ..errors import ConfigError

_ISO_639_1 = """
aa ab ae af ak am an ar as av ay az ba be bg bh bi bm bn bo br bs ca ce ch co cr cs cu cv cy da de dv dz ee
el en eo es et eu fa ff fi fj fo fr fy ga gd gl gn gu gv ha he hi ho hr ht hu hy hz ia id ie ig ii ik io is
it iu iw ja jv ka kg ki kj kk kl km kn ko kr ks ku kv kw ky kz la lb lg li ln lo lt lu lv mg mh mi mk ml mn
mr ms mt my na nb nd ne ng nl nn no nr nv ny oc oj om or os pa pi pl ps pt qu rm rn ro ru rw sa sc sd se sg
sh si sk sl sm sn so sq sr ss st su sv sw ta te tg th ti tk tl tn to tr ts tt tw ty ug uk ur uz ve vi vo wa
wo xh yi yo za zh zu
"""
_TWO = frozenset(_ISO_639_1.split())
_NAMES = {
    **{"english": "en", "german": "de", "deutsch": "de", "french": "fr", "francais": "fr", "spanish": "es"},
    **{"italian": "it", "portuguese": "pt", "russian": "ru", "turkish": "tr", "dutch": "nl", "swedish": "sv"},
    **{"arabic": "ar", "chinese": "zh", "japanese": "ja", "korean": "ko", "hindi": "hi", "hebrew": "he"},
}


def check_language(language: str) -> None:
    """Refuse what is no code of a language: `en`, `pt-BR`, and codes of three letters are; "" is, too, none given.

    Raises:
        ConfigError: with the nearest code.
    """
    if not language:
        return
    code = re.split("[-_]", language)[0].lower()
    if code in _TWO or re.fullmatch("[a-z]{3}", code):
        return
    near = [_NAMES[n] for n in difflib.get_close_matches(code, _NAMES, 1)] or sorted(
        difflib.get_close_matches(code[:3], sorted(_TWO), 3, cutoff=0.5)
    )
    nearest = f"; nearest: {', '.join(near)}" if near else ""
    raise ConfigError(
        f"language={language!r} is no code of a language: two letters (en, fr, ru), or three (ISO 639-3){nearest}"
    )
