"""Tables of features as notebooks show them."""

import html
from typing import TYPE_CHECKING

from ..display.notebook import heat_map

if TYPE_CHECKING:
    from .table import FeatureTable


def table_of_features_html(table: "FeatureTable") -> str:
    """How much there is, and pictures of the first utterances."""
    shown = [key for key in table if len(table[key])][:3] if table.dim else []
    pictures = "".join(heat_map(table[key], title=key).text for key in shown)
    return f"<p>{html.escape(repr(table)[1:-1])}</p>{pictures}"
