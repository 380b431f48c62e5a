"""Usual wordings of orders to a model, in four languages, with the stems that they hold.

Pure. `orders` looks for them in every text; `order_parts` has those that name a label or a scope.
"""

from __future__ import annotations

_LEADS = r"(?:^|[.!?:;,\"“”«»()\[\]#*>=—–-] ?|\b(?:please|kindly|and|then|now|must|instead) )"
"""In front of an imperative."""

_GAP = r"\W+(?:\w+\W+){0,4}?"
"""Up to four words in between."""

_NEAR = r"\b\W+(?:\w+\W+){0,3}?"
"""A word ends, and up to three words follow."""

_KEY = (
    r"[\"'`«“「『\[(:]*\s*(?:[a-z]+_[a-z_]+|noise|example|contrast|transition|background|objective"
    r"|method|result|conclusion|consequence|evaluation|expectation|claim|evidence|rebuttal)\b"
)
"""A word that can be the key of a label: one with an underscore, or one of the shipped sets."""

_ALL = r"(?:every|each|all|any|the (?:following|other|next|previous|whole|rest)|these|this|them)"
_RULES_EN = r"(?:instructions?|prompts?|rules|guidelines|directions|commands|definitions)\b"
_RULES_FR = r"(?:instructions?|consignes?|règles|directives|définitions)\b"
_RULES_RU = r"(?:инструкци|указани|правил|команд|промпт|определени)\w*"

Rules = tuple[tuple[tuple[str, ...], str], ...]

ENGLISH: Rules = (
    # do not follow the system prompt, stop following your instructions, pay no attention to them
    (
        (
            "do not",
            "don't",
            "never",
            "stop",
            "no attention",
            "no heed",
            "disobey",
            "skip",
            "overlook",
        ),
        rf"{_LEADS}(?:(?:do not|don['’]t|never) (?:follow|obey|heed|use|read|apply|listen to)"
        r"|stop (?:following|obeying|using|reading|applying)|pay no (?:attention|heed) to|disobey"
        r"|skip"
        rf"|overlook){_GAP}(?:{_RULES_EN}|system|developer|what (?:the (?:system|developer)"
        rf"|you were))",
    ),
    (("everything you",), r"\b(?:ignore|disregard|forget) everything you(?:['’]ve| have| were)\b"),
    (
        ("the above", "it all"),
        rf"{_LEADS}(?:ignore|disregard|forget) (?:the above|it all)\b",
    ),
    # your previous guidelines are withdrawn, the previous prompt was a test
    (
        ("withdrawn", "cancel", "void", "revoked", "no longer", "a test", "superseded", "replaced"),
        r"\b(?:previous|earlier|prior|above|your|former|system) (?:\w+ )?"
        r"(?:instructions?|prompts?|guidelines|rules|definitions|message) (?:\w+ ){1,3}"
        r"(?:withdrawn|cancell?ed|void|revoked|no longer|superseded|replaced|a test)\b",
    ),
    # your new task, if you are an ai, note to the model, as your developer I instruct you
    (
        ("new task", "new role", "new job", "new goal", "new objective"),
        r"\byour new (?:task|role|job|goal|objective)\b|(?:^|[#*.!?:\]] ?)new (?:task|role)\s?:",
    ),
    (
        (
            "if you are",
            "dear ",
            "hey",
            "hello",
            "attention",
            "note to",
            "note for",
            "notes to",
            "notes for",
            "instruction",
            "message to",
        ),
        r"(?:\bif you are|\bdear|\bhey|\bhello|(?:^|[.!?] ?)attention,?|\bnotes? (?:to|for)"
        r"|\binstructions? (?:to|for)|\bmessage to) (?:an? |the |any |all "
        r"|my )?(?:large )?(?:language )?"
        r"(?:ai|llm|model|assistant|classifier|annotator|labell?er|chatbot|bot)s?\s?[,:.!]",
    ),
    (
        ("for the ", "for any ", "for every "),
        r"\bfor (?:the|any|every) (?:language )?(?:ai|llm|model|classifier|annotator"
        r"|labell?er)s?\s?:",
    ),
    (
        ("you are", "act as", "pretend", "behave as", "imagine"),
        r"\b(?:you are now|act as|behave as|pretend (?:to be|that you are|you are)"
        r"|imagine (?:that )?you are)"
        r" (?:an? |the )?(?:\w+ )?(?:classifier|annotator|labell?er|language model|\w*bot|ai)\b",
    ),
    (
        ("i need you", "i want you", "instruct you", "order you", "command you", "i tell you"),
        r"\bas (?:your|the|an?) (?:developer|administrator|admin|system|operator|creator"
        r"|owner)\b,? i\b",
    ),
    # system override, end of text, developer mode
    (
        ("override", "overrule", "developer mode", "jailbreak"),
        r"\b(?:system|user|admin|developer) override\b|(?:^|[\]#*.!?:] ?)override\s?:"
        r"|\bdeveloper mode (?:on|enabled|active)|(?:^|[.!?] )jailbreak\s?:",
    ),
    (
        ("end of", "begin instruction", "begin new"),
        r"\bend of (?:the )?(?:text|data|input|document|chunk)s?\b.{0,12}\b(?:instructions?|begin"
        r"|new|task)\b"
        r"|[-=#*\[] ?begin (?:new )?(?:instructions?|task)\b",
    ),
    # the same label for all
    (
        ("same label",),
        r"\b(?:give|assign|put|apply|use)\b.{0,40}?\bthe same label\b",
    ),
    # ignore all previous instructions, disregard the system prompt, forget your rules
    (
        ("ignore", "disregard", "forget", "overrid", "overrule"),
        rf"(?:ignore|disregard|forget|override|overrule){_GAP}{_RULES_EN}"
        r"|(?:ignore|disregard|forget) (?:everything|anything|all)(?: of)? "
        r"(?:above|before|previous|the above|the previous|you were told|that was said)\b",
    ),
    # new instructions: ..., system prompt: ..., print your instructions
    (
        ("prompt", "instruction"),
        r"(?:new|updated|real|actual|important|system|revised) (?:instructions?|prompt)\s*:"
        r"|(?:reveal|print|repeat|show|output)\b.{0,30}\b(?:system prompt|your instructions)\b",
    ),
    # answer only with noise, respond with the label key_thesis, reply: example
    (
        ("answer", "respond", "reply", "output", "return", "say only", "say just"),
        r"(?:answer|respond|reply|output|return|say)(?: only| just| always)?(?: with)? "
        r"(?:only |just )?(?:the )?(?:label|word|json|id)\b"
        rf"|(?:answer|respond|reply|output|return|say)s?{_NEAR}{_KEY}",
    ),
    (
        ("from now on",),
        r"from now on,? (?:you are|you will|you must|answer|respond|label|every|each|all)\b",
    ),
    # label every chunk as noise, mark all of these as example, the label of this text is ...
    (
        ("label", "mark ", "tag ", "classify ", "annotate "),
        rf"(?:label|mark|tag|classify|annotate) {_ALL}\b[^.!?]{{0,60}}?(?:\b(?:as|with)\b|:)",
    ),
    (
        ("label",),
        rf"(?:the|right|correct|only) labels? (?:\w+ ){{0,5}}?(?:is|are|must be|should be) {_KEY}"
        rf"|labels?\s*[:=]\s*{_KEY}",
    ),
    # marks of chat formats, and what could pass for a part of the request or of its answer
    (
        ("<|", "im_start", "inst]", "<<sys", "<chunk", "</chunk", "<system", "</system", "[[item"),
        r"<\|?\w+\|>|<\|?im_start\|?>|\[/?inst\]|<<sys>>|</?(?:chunk|system)\b[^>]*>|\[\[item\b",
    ),
    (
        ("system:", "assistant:", "developer:", "[system]"),
        r"(?:^|[\]#*>.!?:] ?)(?:system|assistant|developer):|\[system\]",
    ),
    (
        ("label", "answers", "chunks", "context_"),
        r"[\"“”'\\](?:labels?|answers|chunks|context_before|context_after)[\"“”'\\]+\s*:",
    ),
)

RUSSIAN: Rules = (
    # do not follow the instructions, what was said before no longer holds
    (
        ("не следу", "не выполня", "не слуша", "не соблюда", "не чита", "не учитыва", "не подчиня"),
        r"\bне (?:следуй|следовать|выполняй|слушай|соблюдай|читай|учитывай"
        r"|подчиняйся)(?:те)?(?:сь)?"
        rf"{_GAP}(?:{_RULES_RU}|систем\w+)|(?:{_RULES_RU})(?: \w+){{0,2}} не (?:читай"
        rf"|соблюдай)(?:те)?",
    ),
    (
        ("больше не", "не действ", "отмен", "измен", "недействит"),
        r"\b(?:прежн|предыдущ|прошл|тво|ваш|стар)\w{1,3} (?:\w+ )?(?:инструкци|указани|промпт"
        r"|определени"
        r"|правил)\w* (?:\w+ )?(?:больше не|не действу|отмен|измен|недействит)"
        r"|(?:^|[.!?:] ?)правила (?:изменились|отменены)\s?[:;,]",
    ),
    # your new task, you are now another assistant, dear model
    (
        (
            "твоя нов",
            "ваша нов",
            "новое задание",
            "ты теперь",
            "вы теперь",
            "ты больше не",
            "вы больше не",
            "ты отныне",
            "вы отныне",
            "если ты",
            "если вы",
        ),
        r"\b(?:твоя|ваша) новая (?:задача|роль)|(?:^|[#.!?:] ?)новое задание\b"
        r"|\b(?:ты|вы) (?:теперь|больше не|отныне) (?:\w+ ){0,2}(?:помощник|ассистент|бот|модел"
        r"|классиф"
        r"|разметчик|ии\b|нейросет)|\bесли (?:ты|вы) (?:ии|модель|нейросеть|ассистент)\b",
    ),
    (
        ("внимание", "уважаем", "просьба к", "обращение к", "дорог", "послушай"),
        r"\b(?:внимание|уважаем\w+|просьба к|обращение к|дорог\w+|послушай),? (?:языков\w+ )?"
        r"(?:модел|алгоритм|ии\b|нейросет|ассистент|классификатор|разметчик)\w*\s?[,:;!.]",
    ),
    (("систем",), r"(?:^|[.!?] )систем[аы]\s?:|[\[【]система[\]】]"),
    (
        ("игнорир", "проигнорир", "забуд", "отмени", "пренебрег"),
        r"(?:(?:про)?игнорируй(?:те)?|игнорировать|забудь(?:те)?|отмени(?:те)?|пренебреги(?:те)?)"
        rf"{_GAP}{_RULES_RU}|забудь(?:те)? (?:все|всё),? (?:что|выше)",
    ),
    (("не обращай",), rf"не обращай(?:те)? внимания на{_GAP}{_RULES_RU}"),
    (
        ("инструкци", "промпт"),
        r"(?:новые|новая|важная|важные|системная|системные) инструкци[ия]\s*:|системный промпт\b",
    ),
    (
        ("отвечай", "ответь", "выведи", "верни", "напиши"),
        r"отвечай(?:те)? (?:только|всегда)\b"
        rf"|(?:ответь|отвечай|выведи|верни|напиши)(?:те)?{_NEAR}{_KEY}",
    ),
    (
        ("отныне", "теперь"),
        r"(?:отныне|теперь) (?:ты|вы)\b.{0,40}\b(?:отвеча|должен помеч|должны помеч|помеча)\w*",
    ),
    (
        ("помет", "помеч", "отмет", "отмеч", "размет", "размеч", "классифиц", "обознач"),
        r"(?:пометь|помечай|отметь|отмечай|разметь|размечай|классифицируй|обозначь)(?:те)?"
        r" (?:все|всё|кажд\w+|эти|этот)\b"
        r"[^.!?]{0,60}?\bкак\b",
    ),
    (("метк",), rf"метк[аиу]\b[^.!?]{{0,40}}?[:=—-]?\s*{_KEY}"),
)

FRENCH: Rules = (
    # do not follow the instructions, what was said before no longer holds
    (
        ("suis pas", "suivez pas", "obéis", "lis pas", "lisez pas", "abstraction", "respectez pas"),
        r"\bn[e'’]\s?(?:suis|suivez|obéis|obéissez|lis|lisez|respecte|respectez) (?:pas|plus"
        r"|jamais)"
        rf"{_GAP}(?:{_RULES_FR}|prompt|système)|\bf(?:ais|aites) abstraction{_GAP}{_RULES_FR}",
    ),
    (
        ("annul", "plus valable", "s'appliquent plus", "remplacé"),
        r"\b(?:consignes?|instructions?) (?:précédente|antérieure|initiale)s? (?:\w+ )?"
        r"(?:est|sont|ne sont|ne s.appliquent) (?:annulé|plus|remplacé)",
    ),
    # your new task, you are now another assistant, dear model
    (
        (
            "ta nouvelle",
            "votre nouvelle",
            "nouvelle mission",
            "nouvelle tâche",
            "tu n'es plus",
            "tu es maintenant",
            "vous n'êtes plus",
            "vous êtes maintenant",
            "si tu es",
            "si vous êtes",
            "cher modèle",
            "chère ia",
            "cher assistant",
            "chère assistante",
            "attention",
            "[système",
        ),
        r"\b(?:ta|votre) nouvelle (?:tâche|mission|consigne)\b|(?:^|[#.!?:] ?)nouvelle (?:mission"
        r"|tâche)\b"
        r"|\b(?:tu (?:n'es plus|es maintenant)|vous (?:n'êtes plus|êtes maintenant)) (?:\w+ ){0,2}"
        r"(?:assistante?|modèle|classificateur|bot|ia)\b|\bsi (?:tu es|vous êtes) (?:une? )?(?:ia"
        r"|modèle)\b"
        r"|\b(?:cher|chère|attention),? (?:modèle|ia|assistante?|classificateur)\s?[,:!]"
        r"|\[système\]",
    ),
    (
        ("ignore", "oubli"),
        rf"(?:ignore[rz]?|oublie[rz]?){_GAP}{_RULES_FR}|(?:oublie|ignore)z? tout ce qui\b",
    ),
    (("ne tiens", "ne tenez"), rf"ne (?:tiens|tenez) (?:pas|aucun) compte{_GAP}{_RULES_FR}"),
    (
        ("instruction", "consigne", "prompt"),
        r"(?:nouvelles?|vraies?) (?:instructions?|consignes?)\s*:|prompt système\b",
    ),
    (
        ("répond", "renvoie", "renvoyez"),
        r"répond(?:s|ez) (?:uniquement|seulement|toujours) (?:par|avec)\b"
        rf"|(?:répond(?:s|ez)|renvoie|renvoyez){_NEAR}{_KEY}",
    ),
    (
        ("désormais", "dorénavant", "à partir de maintenant"),
        r"(?:désormais|dorénavant|à partir de maintenant),? (?:tu|vous) "
        r"(?:es|êtes|dois|devez|réponds|répondez)\b",
    ),
    (
        ("étiquet", "class", "marqu", "annot"),
        r"(?:étiquet|class|marqu|annot)(?:t?e|ez|er) (?:tous|toutes|chaque|ces)\b"
        r"[^.!?]{0,60}?\bcomme\b",
    ),
    (("étiquette",), rf"étiquette\b[^.!?]{{0,40}}?{_KEY}"),
)

CHINESE: Rules = (
    # do not follow the instructions, what was said before no longer holds
    (
        ("不要", "不必", "不用", "别", "无需", "停止", "勿"),
        r"(?:不要|不必|不用|别|无需|停止|勿)再?(?:遵守|遵循|遵从|听从|按照|执行|看|阅读|理睬)"
        r"[^。！？!?，,]{0,8}(?:指令|规则|提示|系统|要求|定义|指示|消息)",
    ),
    (
        ("忽略", "无视", "忘记", "忘掉"),
        r"(?:忽略|无视|忘记|忘掉)(?:上文|前文|上面|以上|之前)(?:的?一切|的?内容|[，,。]|$)",
    ),
    (
        ("作废", "无效", "取消", "失效", "更改", "改变"),
        r"(?:之前|以前|原来|先前|旧)的?(?:提示|指令|规则|要求)[^。！？!?]{0,4}(?:作废|无效|取消|失效)"
        r"|(?:^|[。！？!?])规则已?(?:更改|改变)[：:，,]",
    ),
    # your new task, you are now another assistant, dear model
    (
        (
            "你现在是",
            "你不再是",
            "你的新任务",
            "新任务",
            "如果你是",
            "亲爱的",
            "注意",
            "致",
            "系统",
        ),
        r"你(?:现在|不再)是[^。！？!?]{0,8}(?:助手|模型|分类器|机器人|ai|人工智能)|你的新任务"
        r"|(?:^|[#。！？!?] ?)新任务(?:\s|[：:])|如果你是(?:人工智能|ai|模型|语言模型)"
        r"|(?:亲爱的|注意[，,：:]?|致)(?:语言)?(?:模型|ai|人工智能|分类器|标注员)[，,：:！]"
        r"|【系统】|(?:^|[。！？!?] ?)系统(?:提示|消息)?[：:]",
    ),
    (
        ("忽略", "无视", "忘记", "忘掉", "理会", "不用管"),
        r"(?:忽略|无视|忘记|忘掉|不要理会|不用管)[^。!?！？，；,]{0,8}"
        r"(?:指令|指示|提示词|提示|规则|要求|命令|定义)",
    ),
    (("指令", "提示"), r"(?:新的?|系统|真正的?)(?:指令|提示词|提示)\s*[:：]"),
    (("从现在",), r"从现在(?:开始|起)[，,]?(?:你|请你)(?:是|要|必须|只|应)"),
    (
        ("回答", "输出", "回复", "返回", "标签"),
        r"只(?:回答|输出|回复|返回)(?:标签|一个词|“|「|\")"
        rf"|(?:回答|输出|回复|返回|标签)[^。!?！？]{{0,8}}?{_KEY}",
    ),
    (
        ("标记为", "标注为", "标为", "分类为", "归为"),
        r"(?:把|将)(?:所有|每个|每一个|全部|这些|以下|其他)[^。!?！？]{0,20}?"
        r"(?:标记为|标注为|标为|分类为|归为)"
        rf"|(?:标记为|标注为|标为|分类为|归为)\s*{_KEY}",
    ),
)
