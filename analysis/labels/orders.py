"""Tell texts that look like orders to the model: they travel alone.

Pure. dispatch and the estimate call `looks_like_orders` for every chunk that is to be sent.

The instructions say that texts are data, and an answer counts only with the right ids. What is left
is that a text which gives orders moves the labels of its neighbours in the same request; alone it
can move only its own. So this has to find the usual wordings, and a false alarm costs one request.
Whoever writes such a text to pass by a list of patterns passes: it is a fence, not a wall.

A word of `_STEMS` must be in the text before a pattern is tried, since most texts have none. `..`
stands for up to four words in between (in Chinese up to eight characters).
"""

from __future__ import annotations

import re

_STEMS = (
    *('"label', '"answers"', "<chunk", "</chunk", "<system", "</system", "[[item"),
    *(
        "ignore",
        "disregard",
        "forget",
        "override",
        "prompt",
        "instruction",
        "im_start",
        "[inst]",
        "<<sys",
    ),
    *("from now on", "answer", "respond", "reply", "output"),
    *("игнорир", "забуд", "не обращай", "отмени", "промпт", "инструкц", "отвечай", "отныне"),
    *("oubli", "ne tiens pas", "ne tenez pas", "consigne", "répond", "désormais"),
    *("忽略", "无视", "忘记", "忘掉", "指令", "提示", "从现在", "只回答", "只输出", "只回复"),
)
"""Without one of these no pattern can match; in small letters."""

_GAP = r"\W+(?:\w+\W+){0,4}?"

_PATTERNS: dict[str, tuple[str, ...]] = {
    "en": (
        # ignore all previous instructions, disregard the system prompt, forget your rules
        rf"\b(?:ignore|disregard|forget|override){_GAP}"
        r"(?:instructions?|prompts?|rules|guidelines|directions|commands)\b",
        r"\b(?:ignore|disregard|forget) (?:everything|anything|all)(?: of)? "
        r"(?:above|before|previous|the above|the previous)\b",
        # new instructions: ..., system prompt: ...
        r"\b(?:new|updated|real|actual|important|system) (?:instructions?|prompt)\s*:",
        r"\b(?:reveal|print|repeat|show|output)\b.{0,30}\b(?:system prompt|your instructions)\b",
        # answer only with noise, respond with the label key_thesis
        r"\b(?:answer|respond|reply|output) (?:only )?with (?:only |just )?"
        r"(?:the )?(?:label|word|json|id)\b",
        r"\bfrom now on,? (?:you are|you will|you must|answer|respond|label)\b",
        # marks of chat formats, and what could pass for a part of the request or of its answer
        r"<\|?im_start\|?>|\[inst\]|<<sys>>|</?(?:chunk|system)\b[^>]*>|\[\[item\b",
        r"\"(?:labels?|answers)\"\s*:",
    ),
    "ru": (
        rf"\b(?:игнорируй|игнорируйте|игнорировать|забудь|забудьте|отмени|отмените){_GAP}"
        r"(?:инструкци|указани|правил|команд|промпт)\w*",
        rf"\bне обращай(?:те)? внимания на{_GAP}(?:инструкци|указани|правил|команд)\w*",
        r"\b(?:новые|новая|важная|системная|системные) инструкци[ия]\s*:|\bсистемный промпт\b",
        r"\bотвечай(?:те)? только\b",
        r"\bотныне (?:ты|вы)\b.{0,40}\b(?:отвеча|должен|должны|помеча)\w*",
    ),
    "fr": (
        rf"\b(?:ignore|ignorez|ignorer|oublie|oubliez|oublier){_GAP}"
        r"(?:instructions?|consignes?|règles|directives)\b",
        rf"\bne (?:tiens|tenez) pas compte{_GAP}(?:instructions?|consignes?|règles|directives)\b",
        r"\b(?:nouvelles?|vraies?) (?:instructions?|consignes?)\s*:|\bprompt système\b",
        r"\brépond(?:s|ez) (?:uniquement|seulement) (?:par|avec)\b",
        r"\bdésormais,? (?:tu|vous) (?:es|êtes|dois|devez|réponds|répondez)\b",
    ),
    "zh": (
        r"(?:忽略|无视|忘记|忘掉)[^。！？，；,]{0,8}(?:指令|指示|提示词|提示|规则|要求|命令)",
        r"(?:新的?|系统|真正的?)(?:指令|提示词|提示)\s*[:：]",
        r"从现在(?:开始|起)[，,]?你(?:是|要|必须|只)",
        r"(?:请)?只(?:回答|输出|回复)(?:标签|一个词|“|「|\")",
    ),
}

_FLAGS = re.IGNORECASE | re.DOTALL


def _compiled(*names: str) -> re.Pattern[str]:
    return re.compile("|".join(one for name in names for one in _PATTERNS[name]), _FLAGS)


_EVERY = _compiled(*_PATTERNS)
_BY_LANGUAGE = {name: _compiled(*dict.fromkeys((name, "en"))) for name in _PATTERNS}
"""The language of the texts, and English, in which such orders are written everywhere."""


def looks_like_orders(text: str, language: str = "auto") -> bool:
    """Tell whether a text seems to tell the model what to do.

    Args:
        text: Of a chunk.
        language: Of the texts: `en`, `ru`, `fr`, `zh`, or `auto` for all of them.
    """
    small = text.casefold()
    if not any(stem in small for stem in _STEMS):
        return False
    return _BY_LANGUAGE.get(language, _EVERY).search(text) is not None
