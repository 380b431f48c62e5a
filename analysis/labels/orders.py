"""Tell texts that look like orders to the model: they travel alone.

Pure. `looks` calls `gives_orders` for every chunk that is to be sent, and `prompt` calls
`said_around_gives_orders` for titles and for every text of the context.

The instructions say that texts are data, and an answer counts only with the right ids. What is left
is that a text which gives orders moves the labels of its neighbours in the same request; alone it
can move only its own. So this has to find the usual wordings, and a false alarm costs one request.
Whoever writes such a text to pass by a list of patterns passes: it is a fence, not a wall.

There are two kinds of rules: whole wordings (`order_wordings`), and orders put together from a
verb, a label of the set and what it is to be given to (`order_parts`). All languages are looked for
in every text, since whoever gives orders chooses the language. Texts are compared as a reader sees
them (`look_alikes`).

A pattern is tried only where one of its stems is in the text, since most texts hold none.
"""

from __future__ import annotations

import re
from functools import lru_cache

from analysis.labels.look_alikes import HEAD, WORD, as_seen, heads_of
from analysis.labels.order_parts import LabelWords
from analysis.labels.order_wordings import CHINESE, ENGLISH, FRENCH, RUSSIAN, Rules
from analysis.records import Chunk

_SIGNS = frozenset("<[]|:_")
_SETS_IN_USE = 16
_WORDS_IN_USE = 1_024


class _Wordings:
    """The patterns of some languages, and the stems without which none of them can be found.

    A stem that begins with a word is looked for where that word, or its first letters, are among
    the words of a text, which is one look at a set for nearly all texts. One with a sign that prose
    seldom holds is looked for where that sign is found, and the others everywhere.
    """

    def __init__(self, *languages: Rules) -> None:
        rules = [rule for language in languages for rule in language]
        stems = dict.fromkeys(stem for own, _ in rules for stem in own)
        self.rules = [(frozenset(own), re.compile(text, re.DOTALL)) for own, text in rules]
        self.plain: list[str] = []
        self.signed: dict[str, list[str]] = {}
        self.by_head: dict[str, list[str]] = {}
        for stem in stems:
            word = WORD.match(stem)
            signs = sorted(_SIGNS.intersection(stem))
            if word and (len(word[0]) >= HEAD or len(stem) > len(word[0])):
                self.by_head.setdefault(word[0][:HEAD], []).append(stem)
            elif signs:
                self.signed.setdefault(signs[0], []).append(stem)
            else:
                self.plain.append(stem)
        self.heads = frozenset(self.by_head)

    def are_in(self, seen: str, heads: set[str]) -> bool:
        """Tell whether one of the patterns is in a text as it is seen, with these heads."""
        stems = [stem for stem in self.plain if stem in seen]
        for head in heads & self.heads:
            stems += [stem for stem in self.by_head[head] if stem in seen]
        for sign, signed in self.signed.items():
            if sign in seen:
                stems += [stem for stem in signed if stem in seen]
        if not stems:
            return False
        return any(
            not own.isdisjoint(stems) and pattern.search(seen) is not None
            for own, pattern in self.rules
        )


_LATIN = _Wordings(ENGLISH, FRENCH)
_OTHERS = (
    (re.compile("[\u0400-\u04ff]"), _Wordings(RUSSIAN)),
    (re.compile("[\u4e00-\u9fff]"), _Wordings(CHINESE)),
)


def looks_like_orders(text: str, spellings: frozenset[str] = frozenset()) -> bool:
    """Tell whether a text seems to tell the model what to do.

    Args:
        text: Of a chunk, a topic or a title.
        spellings: Keys, names and aliases of the labels in use, hashable; those keys of the shipped
            sets that are single words are known without.
    """
    seen = as_seen(text)
    heads = heads_of(seen)
    if _LATIN.are_in(seen, heads):
        return True
    if not seen.isascii() and any(
        letters.search(seen) and wordings.are_in(seen, heads) for letters, wordings in _OTHERS
    ):
        return True
    return _words_of(spellings).are_in(seen, heads)


def gives_orders(chunk: Chunk, spellings: frozenset[str]) -> bool:
    """Tell whether the text of a chunk or the topic of its row looks like orders.

    A topic of a row comes out of data like its text, and it speaks to every chunk of a request. The
    topic of a run is the user's own and is not looked at.
    """
    if chunk.topic and said_around_gives_orders(chunk.topic, spellings):
        return True
    return looks_like_orders(chunk.text, spellings)


@lru_cache(_WORDS_IN_USE)
def said_around_gives_orders(words: str, spellings: frozenset[str]) -> bool:
    """Tell whether a topic, a title or a text of the context looks like orders.

    The same words come with many requests: those of a document have one title, and a text stands
    behind one request and in front of another.
    """
    return looks_like_orders(words, spellings)


@lru_cache(_SETS_IN_USE)
def _words_of(spellings: frozenset[str]) -> LabelWords:
    return LabelWords(spellings)
