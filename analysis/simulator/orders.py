"""The obedient model: it does what the text of a chunk orders, for the whole request.

Pure. `service` asks when it was started as obedient. It shows a user which neighbours of a poisoned
text a client loses, for orders in the usual wordings below, with the label by its key. It is no
measure of a fence: a real model obeys now and then, and other words as well, so
`benchmarks/injection.py` brings a model that obeys planted texts whatever they say.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

_LABEL = r"[\"'`«“「『]?\s*(?P<label>[^\W\d_]\w*)"
_ORDERS = tuple(
    re.compile(pattern + _LABEL, re.IGNORECASE)
    for pattern in (
        r"\b(?:label|mark|tag|classify|annotate)\s+(?:every|each|all|the|this|these|any)\b"
        r"[^.!?\n]{0,60}?\b(?:as|with|:)\s*",
        r"\b(?:answer|respond|reply|output|return|say)\s+(?:only\s+|just\s+|always\s+)?"
        r"(?:with\s+)?(?:the\s+)?(?:label\s+)?(?:is\s+)?",
        r"\b(?:помет|отмет|размет|классифицир|обознач)\w*\s+(?:все|всё|каждый|каждую|эти|этот)\b"
        r"[^.!?\n]{0,60}?\bкак\s+",
        r"\b(?:ответь|ответьте|отвечай|отвечайте|верни|верните|выведи|напиши)\s+"
        r"(?:только\s+|всегда\s+)?(?:метку\s+)?",
        r"\b(?:étiquet|class|marqu|annot)\w*\s+(?:tous|toutes|chaque|ce|cette|ces|les)\b"
        r"[^.!?\n]{0,60}?\bcomme\s+",
        r"\b(?:réponds?|répondez|renvoie|renvoyez|écris|écrivez)\s+"
        r"(?:seulement\s+|uniquement\s+|toujours\s+)?(?:par\s+|avec\s+)?",
        r"(?:把|将)(?:所有|每个|每一个|全部|这些)[^。！？\n]{0,20}?(?:标记为|标注为|标为|分类为|归为)\s*",
        r"(?:请)?(?:只|仅|总是)?(?:回答|回复|输出|返回)\s*",
    )
)
"""Orders in English, Russian, French and Chinese; what follows is the label that they want."""


def ordered_label(text: str, allowed: Collection[str] | None) -> str | None:
    """Return the label that a text orders, or None.

    Args:
        text: Text of one chunk.
        allowed: Labels that the answer may hold; another one is no order. None allows every one.
    """
    for order in _ORDERS:
        for found in order.finditer(text):
            label = found["label"]
            if allowed is None or label in allowed:
                return label
    return None


def obeyed(
    texts: Sequence[str], labels: Sequence[Sequence[str]], allowed: Collection[str] | None
) -> list[tuple[str, ...]]:
    """Return the labels of one request after the orders in its texts.

    The first text with an order gives its label to every text of the request.
    """
    orders = (ordered_label(text, allowed) for text in texts)
    label = next((one for one in orders if one is not None), None)
    if label is None:
        return [tuple(keys) for keys in labels]
    return [(label,)] * len(labels)
