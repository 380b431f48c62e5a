"""POST /v1/decisions: how a request is read and an answer spelled.

Pure. `routes` leads here; `evidence` reads the input, `probabilities` answers one question. A
question is about a chunk if the last user message is a pack of chunks and the question names the id
of one of them, in its `name` or in its instructions. Source: the notes on decisions; what they
leave open is a switch of `DecisionRules`, and wordings of refusals are guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from random import Random

from analysis.simulator.answers import UNASKED_ID, UNKNOWN_LABEL
from analysis.simulator.cache import BYTES_PER_TOKEN, Rendered
from analysis.simulator.evidence import QUESTION_PARTS, Evidence, read_input, read_parts
from analysis.simulator.outcomes import Form
from analysis.simulator.parameters import model_not_found
from analysis.simulator.probabilities import answer
from analysis.simulator.profile import DECISION_MODELS, DecisionRules
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_choice,
    check_count,
    check_fields,
    check_length,
    check_type,
    invalid_value,
    missing_parameter,
)
from analysis.simulator.service import Job, Question, Service, encode, key_of

REQUEST_ID_HEADER = "x-client-request-id"
"""A client's own name for a request; stands in the payment log, the body having no metadata."""

_FIELDS = frozenset(
    [
        "input",
        "model",
        "prompt_cache_key",
        "prompt_cache_options",
        "questions",
        "safety_identifier",
    ]
)
"""Top-level fields, openai-python 3.52.0."""
_QUESTION_FIELDS = {
    "predicate": frozenset({"type", "name", "instructions"}),
    "choice": frozenset({"type", "name", "instructions", "choices"}),
    "score": frozenset({"type", "name", "instructions", "levels"}),
}
_CACHE_MODES = ("implicit", "explicit")
_CACHE_KEY_CHARACTERS = 64
_NAME = re.compile(r"[A-Za-z0-9_]+")
_NAME_WORDS = re.compile(r"[A-Za-z0-9]+")
_WORDS = re.compile(r"[\w-]+")
_LARGEST = 1 << 64


def _check_request(service: Service, body: Json) -> Json:
    """Return the body if the service takes it, its input left aside.

    Raises:
        Refusal: Else.
    """
    request = check_fields(body, _FIELDS, "")
    rules = service.profile.decisions
    _check_model(service, request)
    for name in ("input", "questions"):
        if request.get(name) is None:
            raise missing_parameter(name)
    for name, longest in (
        ("prompt_cache_key", _CACHE_KEY_CHARACTERS),
        ("safety_identifier", rules.identifier_characters),
    ):
        if request.get(name) is not None:
            check_length(check_type(request[name], str, "a string", name), longest, name)
    _check_cache(request.get("prompt_cache_options"))
    questions = check_type(request["questions"], list, "an array", "questions")
    check_count(questions, 1, rules.questions, "questions")
    for index, question in enumerate(questions):
        _check_question(question, f"questions[{index}]", rules)
    if rules.is_name_unique:
        names = [one["name"] for one in questions if one.get("name") is not None]
        _check_unique(names, "questions", "names")
    return request


def _check_model(service: Service, request: Json) -> None:
    model = check_type(request.get("model", ""), str, "a string", "model")
    if not model:
        raise missing_parameter("model")
    if model not in DECISION_MODELS and model != service.answerer.name:
        refusal = model_not_found(model)
        raise Refusal(refusal.message, code=refusal.code, param=refusal.param)


def _check_cache(options: object) -> None:
    if options is None:
        return
    given = check_fields(options, ("mode", "ttl"), "prompt_cache_options")
    if given.get("mode") is not None:
        check_choice(given["mode"], _CACHE_MODES, "prompt_cache_options.mode")
    check_choice(given.get("ttl", "30m"), ("30m",), "prompt_cache_options.ttl")


def _check_question(value: object, path: str, rules: DecisionRules) -> None:
    question = check_type(value, dict, "an object", path)
    kind = check_choice(question.get("type"), _QUESTION_FIELDS, f"{path}.type")
    check_fields(question, _QUESTION_FIELDS[kind], path)
    if question.get("instructions") is None:
        raise missing_parameter(f"{path}.instructions")
    if question.get("name") is not None:
        name = check_type(question["name"], str, "a string", f"{path}.name")
        check_length(name, rules.name_characters, f"{path}.name")
        if not _NAME.fullmatch(name):
            raise invalid_value(
                f"Invalid '{path}.name': '{name}' does not match '^[A-Za-z0-9_]+$'.", f"{path}.name"
            )
    if kind == "choice":
        _check_options(question, "choices", "value", path, rules.choices)
    elif kind == "score":
        _check_options(question, "levels", "label", path, rules.levels)


def _check_options(question: Json, name: str, field: str, path: str, most: int) -> None:
    """Check choices or levels: their number, their fields, and that no two are the same."""
    where = f"{path}.{name}"
    if question.get(name) is None:
        raise missing_parameter(where)
    options = check_type(question[name], list, "an array", where)
    check_count(options, 2, most, where)
    for index, each in enumerate(options):
        option = check_fields(each, (field, "description"), f"{where}[{index}]")
        if field not in option:
            raise missing_parameter(f"{where}[{index}].{field}")
        if not (field == "value" and isinstance(option[field], bool)):
            check_type(option[field], str, "a string", f"{where}[{index}].{field}")
        if option.get("description") is not None:
            check_type(option["description"], str, "a string", f"{where}[{index}].description")
    _check_unique([(type(one[field]), one[field]) for one in options], where, f"{field}s")


def _check_unique(values: list[object], path: str, what: str) -> None:
    if len(set(values)) < len(values):
        raise invalid_value(f"Invalid '{path}': {what} must be unique.", path)


def _read_request(service: Service, body: Json) -> Json:
    """Return a checked body with `evidence`, its input as read, and `size_bytes`, what counts.

    Raises:
        Refusal: If the body, the input or the instructions have a form that is not taken.
    """
    request = _check_request(service, body)
    rules = service.profile.decisions
    questions: list[Json] = request["questions"]
    evidence = read_input(request["input"])
    if not evidence.blocks:
        raise missing_parameter("input")
    asked = _read_instructions(questions)
    check_count(range(evidence.images + asked.images), 0, rules.images, "input")
    image_bytes = rules.image_tokens * BYTES_PER_TOKEN
    shared = evidence.size_bytes + evidence.images * image_bytes
    own = asked.size_bytes + asked.images * image_bytes + sum(map(_option_bytes, questions))
    copies = len(questions) if rules.is_billed_per_question else 1
    return {**request, "evidence": evidence, "size_bytes": shared * copies + own}


def _read_instructions(questions: Iterable[Json]) -> Evidence:
    asked = Evidence()
    for index, question in enumerate(questions):
        read_parts(
            asked,
            question["instructions"],
            f"questions[{index}].instructions",
            role="question",
            types=QUESTION_PARTS,
            has_breakpoints=False,
        )
    return asked


def _option_bytes(question: Json) -> int:
    """Return the bytes of the texts of a question beside its instructions; the name is none."""
    options = [*question.get("choices", ()), *question.get("levels", ())]
    texts = [text for option in options for text in option.values() if text is not None]
    return sum(len((text if isinstance(text, str) else str(text)).encode()) for text in texts)


def _question(request: Json, headers: Mapping[str, str]) -> Question:
    """Return the account's view of a request that was read."""
    evidence: Evidence = request["evidence"]
    options = request.get("prompt_cache_options") or {}
    request_id = headers.get(REQUEST_ID_HEADER)
    return Question(
        route="decisions",
        model=request["model"],
        key=key_of(headers) or "",
        content=evidence.content or "",
        size_bytes=request["size_bytes"],
        metadata={"rid": request_id} if request_id else {},
        is_answer_text=False,
        rendered=Rendered(
            blocks=tuple(evidence.blocks),
            is_implicit=options.get("mode") != "explicit",
            key=request.get("prompt_cache_key") or "",
        ),
        allowed=_offered(request["questions"]),
    )


def _offered(questions: Iterable[Json]) -> frozenset[str]:
    """Return the values of all choice questions."""
    return frozenset(
        choice["value"]
        for question in questions
        for choice in question.get("choices", ())
        if isinstance(choice["value"], str)
    )


def _decision(service: Service, request: Json, job: Job, now: float) -> Json:
    receipt, rules = job.receipt, service.profile.decisions
    answers = _answers(request, job, rules)
    body = {
        "model": service.answerer.name,
        "answers": _spoiled(answers, job.draw.defect),
        "usage": {
            "input_tokens": receipt.input_tokens,
            "input_tokens_details": {
                "cached_tokens": receipt.cached_tokens,
                "cache_write_tokens": receipt.written_tokens,
            },
            "output_tokens": receipt.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": receipt.input_tokens + receipt.output_tokens,
        },
    }
    if rules.has_extra_fields:
        body |= {"id": service.new_id("dec"), "created": int(service.unix_time(now))}
    return body


def _answers(request: Json, job: Job, rules: DecisionRules) -> list[Json]:
    """Return an answer per question, with what the switches of the rules do to them."""
    digest = sha256(encode(request["input"])).digest()
    about = _Chunks(job, digest)
    answers = [
        _answer(question, about.find(question), digest, about, rules)
        for question in request["questions"]
    ]
    if rules.is_order_wrong:
        answers.reverse()
    if rules.has_missing_answer:
        answers.pop()
    if rules.has_extra_answer:
        answers.append({"type": "predicate", "name": UNASKED_ID, "probability": 0.5})
    if rules.has_unknown_type and answers:
        answers[0] = {**answers[0], "type": "ranking"}
    if rules.has_extra_fields:
        answers = [{**each, "explanation": None} for each in answers]
    return answers


def _text(question: Json) -> str:
    """Return the text of a question's instructions, other parts left out."""
    asked = question["instructions"]
    if isinstance(asked, str):
        return asked
    return " ".join(part["text"] for part in asked if part["type"] == "input_text")


class _Chunks:
    """The chunks of the shared input with their labels."""

    def __init__(self, job: Job, digest: bytes) -> None:
        self._texts = job.receipt.texts if job.receipt.item_ids else ()
        self._labels = job.labels
        self._places = {name: index for index, name in enumerate(job.receipt.item_ids)}
        self._digest = digest

    def find(self, question: Json) -> int | None:
        """Return the place of the chunk that a question names, or None."""
        name = question.get("name") or ""
        words = [name, *_NAME_WORDS.findall(name), *_WORDS.findall(_text(question))]
        return next((self._places[word] for word in words if word in self._places), None)

    def labels(self, place: int | None, leak_share: float) -> tuple[str, ...]:
        """Return the labels of a chunk, or of the one behind it if the model confuses the two."""
        if place is None:
            return ()
        if _share(b"leak", self._texts[place].encode()) < leak_share:
            place = (place + 1) % len(self._texts)
        return self._labels[place]

    def subject(self, place: int | None) -> bytes:
        """Return what a question is about: a chunk's text, or the digest of the whole input."""
        return self._digest if place is None else self._texts[place].encode()


def _answer(
    question: Json, place: int | None, digest: bytes, about: _Chunks, rules: DecisionRules
) -> Json:
    if rules.is_all_refused or _share(b"refuse", about.subject(place)) < rules.refused_share:
        return _refusal(question.get("name"))
    seed = sha256(_asked(question, place, digest, about)).digest()
    labels = about.labels(place, rules.leak_share)
    return answer(question, labels, Random(seed), rules)


def _asked(question: Json, place: int | None, digest: bytes, about: _Chunks) -> bytes:
    """Return what chance goes by: a chunk's text and its values, or the whole input and question.

    The name of a chunk is chosen by the client, by chance; the model judges the text.
    """
    if place is None:
        return digest + encode(question)
    values = [question.get(key) for key in ("type", "choices", "levels")]
    return about.subject(place) + encode(values)


def _refusal(name: object) -> Json:
    return {"type": "refusal", "name": name}


def _share(purpose: bytes, subject: bytes) -> float:
    """Return a number from 0 to below 1 that a text always gets for a purpose."""
    return int.from_bytes(sha256(purpose + b"|" + subject).digest()[:8]) / _LARGEST


def _spoiled(answers: list[Json], defect: str) -> object:
    """Return the answers with the defect that a fault put in."""
    match defect:
        case "refusal":
            return [_refusal(each["name"]) for each in answers]
        case "malformed":
            return encode(answers).decode()
        case "truncated":
            return answers[: len(answers) // 2]
        case "missing_item":
            return answers[1:]
        case "extra_item":
            return [*answers, {"type": "predicate", "name": UNASKED_ID, "probability": 0.5}]
        case "doubled_item":
            return [*answers[:1], *answers]
        case "out_of_enum":
            return [_out_of_enum(each) for each in answers]
    return answers


def _out_of_enum(each: Json) -> Json:
    """Return a choice with a value that was not offered; other answers stay."""
    if each["type"] != "choice":
        return each
    shares = [
        {**one, "value": UNKNOWN_LABEL if one["value"] == each["choice"] else one["value"]}
        for one in each["probabilities"]
    ]
    return {**each, "choice": UNKNOWN_LABEL, "probabilities": shares}


DECISIONS = Form(check=_read_request, question=_question, answer=_decision)
"""The form of this route; `outcomes.complete` uses it."""
