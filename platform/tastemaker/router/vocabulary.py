"""The words that a router's tokenizer knows whole."""

from collections.abc import Sequence

from tastemaker.router.lexicon import Lexicon
from tastemaker.router.tools import DIVERSITIES, OUTCOMES, TOOLS
from tastemaker.router.wordings import COMMON_WORDS, all_words


def vocabulary(lexicon: Lexicon) -> list[str]:
    """Words of the wordings and of the catalogue, and common words, sorted."""
    words = set(all_words().split()) | set(lexicon.words) | set(lexicon.nouns) | set(COMMON_WORDS)
    tools = {tool["function"]["name"] for tool in TOOLS}
    return sorted(words | {*OUTCOMES, *DIVERSITIES} | tools)


def item_texts(lexicon: Lexicon) -> Sequence[str]:
    """Each item's words: title, category and attribute values."""
    return [" ".join([*g.title, g.category, *g.values.values()]) for g in lexicon.goods]
