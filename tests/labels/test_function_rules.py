"""The cue lists of the ten labels are complete and written as texts are compared."""

from __future__ import annotations

import re
import tomllib
from importlib import resources

import pytest

from analysis.labels.function_rules import DEFAULT, LABELS, label_function, stems_of
from analysis.labels.label_set import NAME_LANGUAGES, LabelSet
from analysis.labels.languages import comparable

TEN = LabelSet.load("ten_functions")


def cues_of(language: str) -> list[str]:
    """Return all cues of a language that are compared in lower case."""
    file = resources.files("analysis.labels") / "cues" / f"{language}.toml"
    tables = tomllib.loads(file.read_text(encoding="utf-8"))
    found = list(tables.pop("traps", []))
    assert set(TEN.keys) - {DEFAULT} == set(tables)
    for table in tables.values():
        groups = [table[key] for key in table if key not in ("weak", "cased")]
        found += [cue for group in [*groups, *table.get("weak", [])] for cue in group]
    return found


def test_labels_and_default_are_those_of_the_set() -> None:
    """The rules know the set that they are for."""
    assert (sorted(TEN.keys), TEN.default) == (sorted(LABELS), DEFAULT)


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_every_label_has_cues_in_every_language(language: str) -> None:
    """A language without them would get the default for all texts."""
    assert len(cues_of(language)) > 100


@pytest.mark.parametrize("language", NAME_LANGUAGES)
def test_cues_are_written_so_that_they_can_match(language: str) -> None:
    """A capital, a double blank, an open bracket or a question mark out of place never matches."""
    wrong = [
        cue
        for cue in cues_of(language)
        if cue != cue.lower()
        or "ё" in cue
        or "  " in cue
        or "~" in cue
        or cue.count(" .. ") > 1
        or cue.count("(") != cue.count(")")
        or re.search(r"\([^()]*\(", cue)
        or re.search(r"[^)]\?.", comparable(cue))
        or not cue.strip()
    ]
    assert [] == wrong


def test_stems_are_what_words_of_a_topic_begin_with() -> None:
    """Short words say nothing, long ones count by their beginning, Chinese ones by pairs."""
    assert ("bread", "price") == stems_of("The Price of breads")
    assert ("广告", "告与", "与消", "消费") == tuple(
        sorted(stems_of("广告与消费"), key="广告与消费".find)
    )
    assert () == stems_of("")


def test_addresses_alone_are_noise() -> None:
    """A line of links has no function in a text."""
    text = "https://example.org/a www.example.org"
    assert ("noise",) == label_function(text, stems=(), language="auto")


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("contrast", "Gas ovens dry the crust; electric ones, on the other hand, keep it soft."),
        ("contrast", "Unlike wheat, rye needs no kneading."),
        ("contrast", "In contrast to yeast, a starter works all night."),
        ("contrast", "Wheat and rye could not be more different."),
        ("contrast", "Of the two flours, the former rises fast, the latter keeps well."),
        (
            "contrast",
            "Cats come as they like; dogs, on the other hand, come when called.",
        ),
        ("contrast", "В отличие от кошек, собаки ждут хозяина у двери."),
        ("contrast", "Терьер, в отличие от овчарки, решает сам."),
        ("contrast", "Одни щенки спят весь день, а другие не ложатся до ночи."),
        ("contrast", "По характеру терьер — полная противоположность овчарке."),
        ("contrast", "Наоборот, взрослая собака спит меньше."),
        ("contrast", "Contrairement au tas froid, le tas chaud demande du travail."),
        ("contrast", "Le tas chaud, à l'inverse du tas froid, demande du travail."),
        ("contrast", "Le tas froid attend ; le tas chaud, en revanche, demande du travail."),
        ("contrast", "Le compost est tout le contraire d'un déchet."),
        ("contrast", "与猫不同，狗会在门口等主人。"),
        ("contrast", "和超市的泡菜不一样，家里的泡菜要等一个月。"),
        ("contrast", "有人早起精神好，另一些人却相反。"),
        ("contrast", "有些坛子放在阴处，另一些却摆在窗边。"),
        ("contrast", "新坛和老坛的味道形成鲜明对比。"),
        ("contrast", "反观家里的泡菜，一个月才入味。"),
        ("key_thesis", "The main point of this essay is that bread is decided by time."),
        ("key_thesis", "The central claim of this chapter is simple: time decides."),
        ("key_thesis", "In a nutshell, bread is decided by time."),
        ("key_thesis", "Put simply, time does the work."),
        ("key_thesis", "Основная мысль этой статьи проста: собаку воспитывает привычка."),
        ("key_thesis", "Мы приходим к выводу, что собаку воспитывает привычка."),
        ("key_thesis", "Воспитание сводится к одному: терпению хозяина."),
        ("key_thesis", "L'idée centrale est que rien ne se jette."),
        ("key_thesis", "Cet essai soutient que rien ne se jette au jardin."),
        ("key_thesis", "本文的主要观点是：好泡菜靠的是耐心。"),
        ("key_thesis", "全文的主旨在于说明耐心的价值。"),
        ("key_thesis", "一言蔽之，好泡菜靠耐心。"),
        ("humour_irony", "The oven went about as well as one might expect of a committee."),
        ("humour_irony", "The new oven is about as useful as a chocolate kettle."),
        ("humour_irony", "Щенок вошёл с грацией бегемота и занял диван."),
        ("humour_irony", "Не прошло и полугода, как площадку для собак открыли."),
        ("humour_irony", "La commune a trié nos épluchures avec la délicatesse d'un bulldozer."),
        ("humour_irony", "On n'arrête pas le progrès : le bac a maintenant une prise."),
        ("humour_irony", "泡菜坛上装了触摸屏，真是太贴心了。"),
        ("humour_irony", "开会三次，总算把坛盖弄丢了，可喜可贺。"),
    ],
)
def test_plain_words_for_a_function_are_known(expected: str, text: str) -> None:
    """Contrasts that name both sides, theses that say so, and set phrases of mockery."""
    assert expected == label_function(text, stems=(), language="auto")[0]


@pytest.mark.parametrize(
    "text",
    [
        "Скворечник не сводится к коробке.",
        "与此同时，北方的坛子口味不同，南方也做泡菜。",
        "他的手艺与众不同，街坊都知道。",
        "He contends that the oven is cold.",
        "Unlikely as it is, the oven stayed warm.",
        "He held the bread in one hand and the knife in the other.",
        "Le jardinier marchait chapeau bas dans le jardin.",
        "La marmite et le pain vont de pair, les uns et les autres le disent.",
        "这是做泡菜的法则，相反的做法也有人用。",
        "总的来说坛子不贵。",
        "Напротив дома гуляет овчарка.",
    ],
)
def test_words_that_look_like_a_function_get_the_default(text: str) -> None:
    """Each of them holds the letters of a phrase that would decide."""
    assert (DEFAULT,) == label_function(text, stems=(), language="auto")


@pytest.mark.parametrize(
    "text",
    [
        "Хозяйка увела гостя наверх и закрыла дверь.",
        "Сначала он долго не решался войти.",
        "Формирование и рассылка отчётов идут по расписанию.",
        "Реклама влияет на выбор лекарств.",
        "Для перехода через перевал требуются силы и время.",
        "Ему хотелось поделиться новостью с соседями.",
        "Вчера шёл снег, а теперь светит солнце.",
        "Призывов несколько, но сначала печатают самый короткий.",
        "Он слушал рассеянно, видимо думая о другом.",
        "Большое спасибо за внимание к нашему докладу.",
        "Вирус оказался обычным гриппом.",
        "В 1812 году армия перешла Неман.",
        "Мой друг, я вас не виню.",
        "Знакомый голос донёсся из коридора.",
        "Главное предприятие города выпускает станки.",
        "Учитель называл это гадким словом, смысла которого мы не знали.",
        "Роман начинается с описания усадьбы.",
        "— Иди гуляй! На улицу не смей, а по двору да в саду…",
        "Он отвернулся, как будто потеряв интерес к разговору.",
        "La publicité influence le choix des enfants.",
        "Le livre fut imprimé en 1850 à Lyon.",
        "L'accord fixe un objectif de réduction des émissions.",
        "— Elle est à vendre, mais j'en veux un bon prix.",
        "Je constate que vous partagez ma manière de voir.",
        "Les champs ont donné assez de grain pour les semences.",
        "L'Union reste le troisième acheteur de blé du monde.",
        "Pendant ce temps, Lina desservait sans bruit.",
        "Le pain et le fromage disparurent comme par enchantement.",
        "— Il n'est que temps, c'est le cas de dire.",
        "Mon oncle nous a regardés en disant adieu.",
        "Les musiciens, rangés au fond, accordent leurs instruments.",
        "Le pays est moins dépendant du charbon que ses voisins.",
        "Laure se leva comme à son ordinaire à six heures.",
        "Les six étangs, superposés comme par miracle, brillaient au soleil.",
        "三个人出了酒店，到街上分手。",
        "参看本卷第110页注释。",
        "每出新版我都会立即购买，支持一下。",
        "评论区很少见到编辑的回复。",
        "研究人员用核磁共振扫描了大脑。",
        "工人们冬天疏通河道。",
        "可能有些人还不清楚星尘计划或stardust@home.",
        "刚才说的数字经过季节调整。",
        "不仅是前文提到的折线图，饼图也可以展示数据。",
        "从上下文看，这里写错了一个字。",
        "他的队伍号称万人，其实只有三千。",
        "高尔基写过《童年》《母亲》和《在人间》。",
        "拜伦1788年出生于英格兰伦敦，是英国诗人。",
        "掌柜收了八毛钱，药就拿出来了。",
    ],
)
def test_ordinary_prose_gets_the_default(text: str) -> None:
    """What is an advertisement, a recap or mockery elsewhere is told of here."""
    assert (DEFAULT,) == label_function(text, stems=(), language="auto")


@pytest.mark.parametrize(
    ("expected", "text"),
    [
        ("noise", "Главная | Поиск | Войти | Корзина"),
        ("noise", "Сдается квартира у метро, недорого."),
        ("noise", "Подпишитесь на нашу рассылку!"),
        ("noise", "Implants: -30 % de réduction, appelez-nous !"),
        ("noise", "Accueil | Se connecter | Panier | Recherche"),
        ("noise", "扫描二维码，领取优惠券。"),
        ("noise", "第12页 共96页"),
        ("noise", "https://пример.рф/каталог"),
        ("transition", "Reste la question du prix."),
        ("transition", "前面谈了成本，现在来看质量。"),
        ("topic_change", "Но хватит о ценах, теперь о другом."),
        ("key_thesis", "Au fond, tout se joue dans la première semaine."),
    ],
)
def test_notices_and_hinges_keep_their_label(expected: str, text: str) -> None:
    """The cues that prose does not share are enough."""
    assert expected == label_function(text, stems=(), language="auto")[0]
