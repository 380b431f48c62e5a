"""Orders put together from their parts: a verb, a label, and what it is to be given to.

Pure. `orders` compiles the rules once. One part alone is ordinary prose; in the order and within
the few words that the rules allow, they hardly ever are. Two things need no verb: a key of the set
with an underscore, and a label in Latin letters in a text in Russian or Chinese.

Labels are marked in the text first, so the rules are the same for all sets. Only the stretches
around labels are compared with them, and gaps are counted in words of bounded length, so a long
text costs in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import chain

from analysis.labels.look_alikes import HEAD, WORD, as_seen
from analysis.labels.order_wordings import Rules

LABEL = "\ue000"
"""Stands for any label in the rules, and in a text that is compared with them; it is no letter."""

_ONE = rf"[\W_]{{0,3}}{LABEL}"

SHIPPED = (
    *("noise", "example", "contrast", "transition", "background", "objective", "method", "result"),
    *("conclusion", "consequence", "evaluation", "expectation", "claim", "evidence", "rebuttal"),
)
"""Keys of the shipped sets that are words; the others hold an underscore."""

_PARTS_OF_NAME = re.compile(r"[/,;()、；，（）]|\b(?:or|или|либо|ou)\b|或")
_WORD = re.compile(r"[^\W_]+")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
_CHINESE_SIGN = re.compile("[\u3400-\u9fff]")
_ENDINGS = re.compile("[аеийоуыьэюя]{1,2}$")
_FEWEST_LETTERS = 3


def _words(fewest: int, most: int) -> str:
    """Return a pattern for a gap of so many words, with the signs around them."""
    return rf"\W{{1,6}}(?:\w{{1,25}}\W{{1,6}}){{{fewest},{most}}}?"


_TO_2, _TO_3, _TO_4, _TO_6 = (_words(0, most) for most in (2, 3, 4, 6))

_END = r"(?=\W{0,3}(?:$|[.!?;,:\"'”»’)\]]|\b(?:and|for|without|no|et|и|для)\b))"
"""After a label that is a plain word: it ends what was said, so it is no other word's neighbour."""

_LEADS = (
    r"(?:^|[.!?:;,\"'“”‘’«»()\[\]#*>=—–-]\s?|\b(?:please|kindly|and|then|just|now|must|instead) )"
)
"""In front of an imperative."""

# English
_VERB_EN = (
    r"\b(?:set|assign|use|choose|pick|select|give|put|apply|treat|file|mark|tag|label|classify"
    r"|annotate|categori[sz]e|change|switch|replace|convert|make|write|return|output|answer|respond"
    r"|reply|say|report|emit|print|consider|count|regard|repeat|enter|record|default)(?:s|ed|d)?\b"
)
_UNIT_EN = (
    r"(?:chunk|text|item|id|label|passage|entry|sentence|segment|fragment|input|answer|message"
    r"|document|piece|paragraph|neighbou?r|field|array|row|batch|request|reply|snippet|excerpt|one"
    r"|output|element|identifier)(?:s|es)?|entries|replies"
)
_SCOPE_EN = (
    r"\b(?:(?:all|every|each|any|other|remaining|rest|following|next|neighbou?ring|surrounding"
    r"|these"
    rf"|those|whole|entire|both){_TO_2}(?:{_UNIT_EN})"
    r"|everything|everyone|everywhere|throughout|neighbou?rs|every (?:time|one)|the (?:rest|others)"
    r"|(?:each|all|any) of (?:them|these|those)|(?:for|to|on) (?:all|each|every|them|any)"
    r"|this (?:batch|request|document|session|list)|no exceptions?)\b"
)
_IS_EN = (
    r"(?:\b(?:is|are|was|were|be|as|gets?|belongs? to|contains?(?: exactly)?|becomes?|remains?"
    r"|receives?|equals?|tagged|labell?ed|marked|under|with|to|like)\b|=>?|[-=]>|→|:)"
)


_SCOPES_EN = (
    "all", "every", "each", "any", "other", "remaining", "rest", "following", "next", "neighb",
    "surrounding", "these", "those", "whole", "entire", "both", "throughout", "this ", "them",
    "exception",
)  # fmt: skip

_ONE_EN = rf"(?:(?:an?|the|only|just|label|word) )?[\W_]{{0,3}}{LABEL}"

_ENGLISH: Rules = (
    # choose noise for all; assign the label 'noise' to every chunk
    (_SCOPES_EN, rf"{_VERB_EN}{_TO_4}{_ONE_EN}{_TO_4}{_SCOPE_EN}"),
    # set every label to noise; give each of the passages the label example
    (_SCOPES_EN, rf"{_VERB_EN}{_TO_3}{_SCOPE_EN}{_TO_6}{_ONE_EN}{_END}"),
    # every item in this batch is noise; all chunks => noise
    (
        _SCOPES_EN,
        rf"{_SCOPE_EN}\W{{1,4}}(?:\w{{1,25}}\W{{1,4}}){{0,5}}?{_IS_EN}\W{{0,4}}"
        rf"(?:\w{{1,25}}\W{{1,4}}){{0,1}}?{_ONE_EN}{_END}",
    ),
    # the only valid output is noise; any label other than noise
    (
        ("label", "output", "answer", "category", "class"),
        r"\b(?:only|single|sole|one|default|right|correct|same|any|valid)"
        r"\W{1,3}(?:\w{1,25}\W{1,3}){0,3}?(?:labels?|outputs?|answers?|category|class)\b"
        rf"(?:\W{{1,4}}\w{{1,25}}){{0,5}}?\W{{0,4}}(?:\b(?:is|be|are|than|remains)\b"
        rf"|[:=,])\W{{0,4}}"
        rf"{_ONE_EN}{_END}",
    ),
    # write the word noise, use the label noise
    (
        ("word", "label", "category"),
        rf"{_VERB_EN}{_TO_3}(?:word|labels?|category)\W{{1,4}}{_ONE_EN}{_END}",
    ),
    # pick only noise
    (
        (),
        rf"{_LEADS}(?:choose|pick|select|use|answer|return) (?:only )?[\W_]{{0,3}}{_ONE_EN}\W*$",
    ),
)


# Russian
_VERB_RU = (
    r"\b(?:(?:по|про|вы)?став(?:ь|ьте|ить|ят|ляй|ляйте|им)|присво(?:й|йте|ить|им)"
    r"|присваива(?:й|йте|ть)|назнач(?:ь|ьте|ить|ай|айте|ать)|счита(?:й|йте|ть|ем)|сочти(?:те)?"
    r"|выбер(?:и|ите)|выбра(?:ть|в)|выбира(?:й|йте|ть)|помет(?:ь|ьте|ить)|помеч(?:ай|айте|ать)"
    r"|отмет(?:ь|ьте|ить)|отмеч(?:ай|айте|ать)|использ(?:уй|уйте|овать)|примен(?:и|ите|ить|яй|яйте)"
    r"|ука(?:жи|жите|зать)|указыва(?:й|йте|ть)|(?:на|за|в|про)?пи(?:ши|шите|сать)|верн(?:и|ите|уть)"
    r"|возвраща(?:й|йте|ть)|отвеча(?:й|йте|ть)|ответ(?:ь|ьте|ить)?|относи(?:ть|те)?|отнес(?:и|ите"
    r"|ти)"
    r"|замен(?:и|ите|ить)|классифицир(?:уй|уйте|овать)|выве(?:ди|дите|сти)|дай(?:те)?|раздай(?:те)?"
    r"|разме(?:ть|тьте|тить)|размеча(?:й|йте|ть)|измени(?:те)?|поменяй(?:те)?|обознач(?:ь|ьте"
    r"|ай))\b"
)
_UNIT_RU = (
    r"(?:фрагмент|кус[ок]|текст|отрыв|абзац|элемент|пункт|запис|метк|меток|ответ|id\b|предложени"
    r"|чанк"
    r"|идентиф|пачк|запрос|строк|сегмент|тексту|соседн|документ)\w*"
)
_SCOPE_RU = (
    r"\b(?:(?:вс[её]|всем|всех|всеми|всей|кажд\w{2,4}|люб\w{2,3}|остальн\w{2,3}|соседн\w{2,3}"
    r"|эти\w?"
    rf"|прочи\w{{1,2}}|друг\w{{2,3}}){_TO_2}{_UNIT_RU}|везде|всюду|для всех|всем|всё|на все"
    rf"|на всё|рядом"
    rf"|всегда|{_UNIT_RU} (?:выше|ниже|рядом))\b"
)


_SCOPES_RU = (
    "вс", "кажд", "люб", "остальн", "соседн", "эти", "прочи", "друг", "везде", "рядом", "выше",
    "ниже",
)  # fmt: skip

_RUSSIAN: Rules = (
    (_SCOPES_RU, rf"{_VERB_RU}{_TO_4}{_ONE}{_TO_4}{_SCOPE_RU}"),
    (_SCOPES_RU, rf"{_VERB_RU}{_TO_3}{_SCOPE_RU}{_TO_6}{_ONE}{_END}"),
    (
        _SCOPES_RU,
        rf"{_SCOPE_RU}\W{{1,4}}(?:\w{{1,25}}\W{{1,4}}){{0,5}}?{_VERB_RU}{_TO_3}{_ONE}{_END}",
    ),
    (
        _SCOPES_RU,
        rf"{_SCOPE_RU}\W{{1,4}}(?:\w{{1,25}}\W{{1,4}}){{0,3}}?"
        rf"(?:[—–:=-]|\b(?:это|будет|являются|метк\w|как)\b)\W{{0,4}}{_ONE}{_END}",
    ),
    (
        ("метк", "ответ", "категори", "слово"),
        r"\b(?:метк\w|ответ\w?|категори\w|слово)\b(?:\W{1,4}\w{1,25}){0,4}?\W{0,3}"
        rf"[«\"“:—–-]\W{{0,3}}{_ONE}{_END}",
    ),
    ((), rf"{_LEADS}(?:выбирай|выбери|используй|ставь|отвечай|пиши)(?:те)? {_ONE}\W*$"),
)


# French
_VERB_FR = (
    r"\b(?:mets|mettez|mettre|attribue[rz]?|assigne[rz]?|donne[rz]?|choisi(?:s|ssez|r)"
    r"|considère|considér(?:er|ez)|class(?:e|ez|er|é)|marque[rz]?|étiquet(?:te|ez|er)|utilise[rz]?"
    r"|applique[rz]?|remplace[rz]?|change[rz]?|écri(?:s|vez|re)|répond(?:s|ez|re)|renvoie|renvoyez"
    r"|traite[rz]?|range[rz]?|emploie|employez|prends|prenez|sélectionne[rz]?|note[rz]?"
    r"|indique[rz]?"
    r"|répète[rz]?|répétez)\b"
)
_UNIT_FR = (
    r"(?:extrait|texte|passage|segment|identifiant|id|étiquette|morceau|fragment|élément|lot"
    r"|requête"
    r"|réponse|phrase|paragraphe|entrée|voisin)(?:s|x)?"
)
_SCOPE_FR = (
    r"\b(?:(?:tous|toutes|tout|chaque|chacune?|autres|ces|ensemble|voisins|suivants)"
    rf"{_TO_2}{_UNIT_FR}|partout|le tout|(?:pour|à) tou(?:t|s)|tout|le reste|les autres"
    r"|(?:extraits|textes|passages|segments) (?:voisins|suivants))\b"
)


_SCOPES_FR = (
    "tou", "chaque", "chacun", "autres", "ces ", "ensemble", "voisin", "suivants", "reste",
)  # fmt: skip

_ONE_FR = rf"(?:(?:un|une|du|de la|le|la|l|en|comme) ?)?[\W_]{{0,3}}{LABEL}"

_FRENCH: Rules = (
    (_SCOPES_FR, rf"{_VERB_FR}{_TO_4}{_ONE_FR}{_TO_4}{_SCOPE_FR}"),
    (_SCOPES_FR, rf"{_VERB_FR}{_TO_3}{_SCOPE_FR}{_TO_6}{_ONE_FR}{_END}"),
    (
        _SCOPES_FR,
        rf"{_SCOPE_FR}\W{{1,4}}(?:\w{{1,25}}\W{{1,4}}){{0,5}}?{_VERB_FR}{_TO_3}{_ONE_FR}{_END}",
    ),
    (
        _SCOPES_FR,
        rf"{_SCOPE_FR}\W{{1,4}}(?:\w{{1,25}}\W{{1,4}}){{0,5}}?"
        rf"(?:\b(?:est|sont|être|avec|comme|en|des)\b|[:=])\W{{0,4}}{_ONE_FR}{_END}",
    ),
    (
        ("étiquette", "réponse", "mot"),
        r"\b(?:étiquettes?|réponses?|mot)\b(?:\W{1,4}\w{1,25}){0,5}?\W{0,3}"
        rf"(?:[«\"“:]|\b(?:est|reste|être|mot)\b)\W{{0,3}}{_ONE_FR}{_END}",
    ),
)


# Chinese
_VERB_ZH = (
    r"(?:打上|打成|改成|改为|当作|当成|视为|看作|看成|选择|选|设为|设成|标成|标为|标记|标注|归为|归类|分配|替换|换成"
    r"|使用|采用|用|输出|写上|写成|写|填|回答|返回|加上|算作|算|变成|应为|应是|作答|给)"
)
_SCOPE_ZH = (
    r"(?:所有|全部|每个|每一|每条|每段|每篇|其余|其他|其它|旁边|相邻|上文|下文|这些|各个|各段|整个"
    r"|一律|统一|全都|通通|都|本批次)"
)


_SCOPES_ZH = (
    *("所有", "全部", "每", "其余", "其他", "其它", "旁边", "相邻", "上文", "下文", "这些", "各"),
    *("整个", "一律", "统一", "全都", "通通", "都", "本批次"),
)

_CHINESE: Rules = (
    (_SCOPES_ZH, rf"{_SCOPE_ZH}[^。！？!?]{{0,14}}?{_VERB_ZH}[^。！？!?]{{0,8}}?{_ONE}"),
    (_SCOPES_ZH, rf"{_VERB_ZH}[^。！？!?]{{0,8}}?{_ONE}[^。！？!?]{{0,8}}?{_SCOPE_ZH}"),
    (
        _SCOPES_ZH,
        rf"(?:所有|全部|每个|每条|每段)[^。！？!?]{{0,8}}?(?:是|为|\s)\W{{0,3}}{_ONE}\W{{0,3}}$",
    ),
    (
        ("标签", "类别", "答案"),
        rf"(?:标签|类别|答案)[^。！？!?]{{0,10}}?(?:是|为|成|:|：|“|\")\W{{0,3}}{_ONE}",
    ),
    (("只",), rf"只[^。！？!?]{{0,10}}?(?:词|标签|回答|输出|写)\W{{0,4}}{_ONE}"),
)


_DATA: Rules = (
    (("[",), rf"\[\s?[\"'“«]\s?{LABEL}\s?[\"'”»]\s?[\],]"),
    (
        ("label", "value", "class", "categ", "answer", "метка", "étiquette", "标签"),
        rf"(?:labels?|values?|class|category|answers?|метка\w*|étiquettes?|标签)[\"'”»]?\s?[:=]\s?"
        rf"[\"'“«\[]{{0,2}}{LABEL}[\"'”»\]]{{0,2}}\s?(?:[,}}.!]|$)",
    ),
    ((",", ";", "，", "、"), rf"(?:{LABEL}\s?[,;，、]\s?){{2,}}{LABEL}"),
)


_GRAMMARS = tuple(
    (letters, [(stems, re.compile(pattern, re.DOTALL)) for stems, pattern in rules])
    for letters, rules in (
        (None, (*_DATA, *_ENGLISH, *_FRENCH)),
        (_CYRILLIC, _RUSSIAN),
        (_CHINESE_SIGN, _CHINESE),
    )
)

_REACH = 160
"""Characters on either side of a label that an order can take."""

_LATIN_WORD = re.compile("[a-z]+")
_SNAKE = re.compile(r"(?<![a-z_])[a-z]{2,20}_[a-z_]{2,30}(?![a-z_])")


class LabelWords:
    """The spellings of labels, and the orders that are put together with one of them."""

    def __init__(self, spellings: Collection[str]) -> None:
        """Read the keys, names and aliases of a set; without any, the shipped keys are taken."""
        self._names: dict[str, list[str]] = {}
        for name in sorted(_names(spellings or SHIPPED), key=_longest_first):
            self._names.setdefault(_stem(name), []).append(name)
        self._by_head: dict[str, list[str]] = {}
        self._others: list[str] = []
        for stem in sorted(self._names, key=_longest_first):
            word = WORD.match(stem)
            if word and (len(word[0]) >= HEAD or not _CYRILLIC.match(stem)):
                self._by_head.setdefault(word[0][:HEAD], []).append(stem)
            else:
                self._others.append(stem)
        self._heads = frozenset(self._by_head)
        self._patterns: dict[str, re.Pattern[str]] = {}
        self._keys = [as_seen(spelling) for spelling in spellings if "_" in spelling]
        self._latin = frozenset(name for name in chain(*self._names.values()) if name.isascii())

    def __repr__(self) -> str:
        return f"LabelWords({sum(map(len, self._names.values()))} names)"

    def are_in(self, seen: str, heads: set[str]) -> bool:
        """Tell whether a text as it is seen, with these heads, orders one of the labels."""
        if "_" in seen and any(key in seen for key in self._keys):
            return True
        marked = self._marked(seen, heads)
        if LABEL not in marked:
            return False
        if not heads.isdisjoint(self._heads) and self._is_foreign_word(seen):
            return True
        return any(_is_order(stretch) for stretch in _around_labels(marked))

    def _is_foreign_word(self, seen: str) -> bool:
        """Tell whether a label is spelled in Latin letters in a text in Russian or Chinese."""
        if seen.isascii() or not (_CYRILLIC.search(seen) or _CHINESE_SIGN.search(seen)):
            return False
        words = _LATIN_WORD.findall(seen)
        return 2 * sum(map(len, words)) < len(seen) and not self._latin.isdisjoint(words)

    def _marked(self, seen: str, heads: set[str]) -> str:
        """Return a text with one sign in place of each label that it names."""
        stems = [
            stem for head in heads & self._heads for stem in self._by_head[head] if stem in seen
        ]
        if not seen.isascii():
            stems += [stem for stem in self._others if stem in seen]
        if "_" in seen:
            seen = _SNAKE.sub(LABEL, seen)
        # Sets have another order in each process, and a file must have the same packs in all.
        for stem in sorted(stems, key=_longest_first):
            if stem not in self._patterns:
                ways = "|".join(_rest(name) for name in self._names[stem])
                own = re.escape(stem)
                before = "" if _CHINESE_SIGN.match(stem) else rf"(?<!{_LETTER}{own})"
                self._patterns[stem] = re.compile(rf"{own}{before}(?:{ways})")
            seen = self._patterns[stem].sub(LABEL, seen)
        return seen


_LETTER = r"[^\W_\u3400-\u9fff]"
"""A letter or digit that is not Chinese: Chinese has no spaces between words."""


def _longest_first(name: str) -> tuple[int, str]:
    """Return the key of an order that is the same in every process."""
    return -len(name), name


def _is_order(stretch: str) -> bool:
    return any(
        (not stems or any(stem in stretch for stem in stems))
        and pattern.search(stretch) is not None
        for letters, rules in _GRAMMARS
        if letters is None or letters.search(stretch)
        for stems, pattern in rules
    )


def _around_labels(marked: str) -> Iterator[str]:
    """Give the stretches around the labels of a text, in order; none overlaps another."""
    if len(marked) <= _REACH:
        yield marked
        return
    place = marked.index(LABEL)
    start, end = max(0, place - _REACH), place + _REACH
    while (place := marked.find(LABEL, place + 1)) >= 0:
        if place - _REACH > end:
            yield marked[start:end]
            start = place - _REACH
        end = place + _REACH
    yield marked[start:end]


def _names(spellings: Collection[str]) -> set[str]:
    """Return spellings as a text would hold them, with the parts of those that name two things."""
    found = set()
    for spelling in spellings:
        whole = as_seen(spelling)
        for part in (whole, *_PARTS_OF_NAME.split(whole)):
            words = _WORD.findall(part)
            if words and (_CHINESE_SIGN.search(part) or len(words[0]) >= _FEWEST_LETTERS):
                found.add(" ".join(words))
    return found


def _stem(name: str) -> str:
    """Return what stands at the beginning of a name in every case."""
    first = name.split(" ")[0]
    return _ENDINGS.sub("", first) if _CYRILLIC.search(first) else first


def _rest(name: str) -> str:
    """Return a pattern for a name after its stem: Russian in every case, any sign between words."""
    first, *words = name.split(" ")
    if _CHINESE_SIGN.search(name):
        return r"\W?".join(("", *map(re.escape, words))) if words else ""
    if _CYRILLIC.search(name):
        words = [f"{_ENDINGS.sub('', word)}\\w{{0,3}}" for word in words]
    ending = r"\w{0,3}" if _CYRILLIC.search(first) else ""
    return ending + "".join(rf"[\W_]{{1,3}}{word}" for word in words) + rf"(?!{_LETTER})"
