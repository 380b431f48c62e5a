"""The addresses below /v1/batches, and the life of a batch.

Pure. `routes` leads here. A batch is brought up to date whenever somebody asks for it: rows that
are due by then are answered at the time at which they were due, by the model and the payment log
of the account, but beside its limits per minute. Time is counted in batch seconds since the
creation, `BatchRules.speed` of them in a second; the times that a batch tells are its creation
plus batch seconds. Sources: section 7.4 of the protocol notes and openai-python 3.52.0; durations
and wordings are guesses.

    validating -> failed                                the input cannot be used
    validating -> in_progress -> finalizing -> completed
    in_progress -> expired                              rows are left when the window ends
    validating, in_progress -> cancelling -> cancelled

A row that meets a fault that never answers keeps its batch in progress until it expires. What was
answered by then is delivered; the rows left are told in the error file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random

import msgspec

from analysis.simulator.cache import tokens_of
from analysis.simulator.chat import CHAT
from analysis.simulator.files import (
    OUTPUT_PURPOSE,
    Call,
    check_life,
    find_file,
    keep,
    page,
)
from analysis.simulator.outcomes import Form, HttpOutcome, settle
from analysis.simulator.parameters import check_shutdown, not_offered
from analysis.simulator.profile import BatchRules
from analysis.simulator.refusals import (
    Json,
    Refusal,
    check_choice,
    check_fields,
    check_metadata,
    check_type,
    missing_parameter,
)
from analysis.simulator.responses import RESPONSES
from analysis.simulator.rows import problem, read_rows
from analysis.simulator.service import Job, Service, encode
from analysis.simulator.storage import Batch, Plan, Row

ENDPOINTS = (
    "/v1/responses",
    "/v1/chat/completions",
    "/v1/embeddings",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/videos",
)
"""Addresses that a batch may be for."""
_FORMS: Mapping[str, Form] = {"/v1/responses": RESPONSES, "/v1/chat/completions": CHAT}
_FIELDS = frozenset(
    {"input_file_id", "endpoint", "completion_window", "metadata", "output_expires_after"}
)
WINDOW = "24h"
LONGEST_LIST = 100
DEFAULT_LIST = 20
_decode = msgspec.json.Decoder().decode
_EXPIRED = (
    "batch_expired",
    "This request could not be executed before the completion window expired.",
)
_CANCELLED = ("batch_cancelled", "This request was not executed because the batch was cancelled.")


def create(service: Service, call: Call) -> HttpOutcome:
    """Create a batch; what is wrong with its rows shows in its status."""
    request = _read_request(service, call)
    stored = find_file(service, request["input_file_id"], call.now, status=400)
    if stored.purpose != "batch":
        raise Refusal(
            f"File {stored.id} has the purpose '{stored.purpose}'; 'batch' is needed.",
            param="input_file_id",
        )
    rows, problems = read_rows(service, stored, request["endpoint"])
    models = [row.body["model"] for row in rows]
    expiry = request.get("output_expires_after")
    batch_id = service.new_id("batch")
    if service.profile.batch.is_output_shuffled:
        Random(batch_id).shuffle(rows)
    plan = Plan(
        id=batch_id,
        created=call.now,
        key=call.key,
        endpoint=request["endpoint"],
        input_file_id=stored.id,
        metadata=request.get("metadata") or {},
        output_life_s=expiry["seconds"] if expiry else None,
        model=models[0] if models else None,
        rows=tuple(rows),
        problems=tuple(problems),
        queued_tokens=tokens_of(len(stored.content)),
    )
    if not problems and (refused := _queue_problem(service, plan, call.now)):
        plan = replace(plan, rows=(), problems=(refused,))
    batch = Batch(plan=plan)
    service.storage.batches[batch_id] = batch
    return settle(service, batch_object(service, batch, call.now), at=call.now)


def _read_request(service: Service, call: Call) -> Json:
    try:
        request = check_fields(_decode(call.body), _FIELDS, "")
    except msgspec.DecodeError as error:
        raise Refusal("We could not parse the JSON body of your request.") from error
    for name in ("input_file_id", "endpoint", "completion_window"):
        if request.get(name) is None:
            raise missing_parameter(name)
        check_type(request[name], str, "a string", name)
    if check_choice(request["endpoint"], ENDPOINTS, "endpoint") not in _FORMS:
        raise Refusal(
            f"This service runs batches for {' and '.join(_FORMS)} only.",
            code="unsupported_value",
            param="endpoint",
        )
    check_choice(request["completion_window"], (WINDOW,), "completion_window")
    check_metadata(request.get("metadata"), "metadata")
    if request.get("output_expires_after") is not None:
        path = "output_expires_after"
        expiry = check_fields(request[path], ("anchor", "seconds"), path)
        check_choice(expiry.get("anchor"), ("created_at",), f"{path}.anchor")
        check_life(expiry.get("seconds"), f"{path}.seconds")
    return request


def _queue_problem(service: Service, plan: Plan, now: float) -> Json | None:
    """Return what is wrong if the model has no room left in its queue."""
    most = service.profile.batch.queued_tokens
    if most is None:
        return None
    used = sum(
        other.plan.queued_tokens
        for other in service.storage.batches.values()
        if other.plan.model == plan.model and not advance(service, other, now).is_over
    )
    if used + plan.queued_tokens <= most:
        return None
    return problem(
        "token_limit_exceeded",
        f"Enqueued token limit reached for {plan.model} in organization org-local. Limit: {most} "
        "enqueued tokens. Please try again once some in_progress batches have been completed.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The times of a batch in batch seconds since its creation; infinity is never.

    Attributes:
        age_s: How old the batch is.
        started_s: When its validation ends, well or not.
        tried_s: When its last row is answered.
        cancel_s: When it is cancelled, if it was under way then.
        ended_s: When it ends.
        end: Its status from then on.
    """

    age_s: float
    started_s: float
    tried_s: float
    cancel_s: float
    ended_s: float
    end: str

    @property
    def is_over(self) -> bool:
        """Whether the batch has ended."""
        return self.age_s >= self.ended_s

    @property
    def status(self) -> str:
        """The status that the batch has now."""
        if self.is_over:
            return self.end
        if self.age_s >= self.cancel_s:
            return "cancelling"
        if self.age_s < self.started_s:
            return "validating"
        return "in_progress" if self.age_s < self.tried_s else "finalizing"


def _course(batch: Batch, rules: BatchRules, now: float) -> Course:
    plan = batch.plan
    age_s = (now - plan.created) * rules.speed
    started_s = rules.validating_s
    tried_s = math.inf if batch.hung else started_s + len(plan.rows) / rules.rows_per_s
    cancel_s = batch.cancel_s if batch.cancel_s < min(tried_s, rules.window_s) else math.inf
    if plan.problems:
        ended_s, end, tried_s = started_s, "failed", math.inf
    elif cancel_s < math.inf:
        ended_s, end = cancel_s + rules.cancelling_s, "cancelled"
    elif tried_s <= rules.window_s:
        ended_s, end = tried_s + rules.finalizing_s, "completed"
    else:
        ended_s, end = rules.window_s, "expired"
    return Course(
        age_s=age_s,
        started_s=started_s,
        tried_s=tried_s,
        cancel_s=cancel_s,
        ended_s=ended_s,
        end=end,
    )


def advance(service: Service, batch: Batch, now: float) -> Course:
    """Answer the rows that are due, make the files of a batch that has ended; return its course."""
    rules, plan = service.profile.batch, batch.plan
    course = _course(batch, rules, now)
    stop_s = min(course.age_s, course.cancel_s, rules.window_s)
    while batch.tried < len(plan.rows):
        due_s = course.started_s + (batch.tried + 1) / rules.rows_per_s
        if due_s > stop_s:
            break
        row = plan.rows[batch.tried]
        batch.tried += 1
        _run(service, batch, row, plan.created + due_s / rules.speed)
    course = _course(batch, rules, now)
    if course.is_over and not batch.is_delivered:
        _deliver(service, batch, course)
    return course


def _run(service: Service, batch: Batch, row: Row, now: float) -> None:
    """Answer one row."""
    form, plan = _FORMS[batch.plan.endpoint], batch.plan
    try:
        if row.body.get("stream"):
            raise not_offered("stream")
        request = form.check(service, row.body)
        check_shutdown(service, request["model"], now)
        question = form.question(request, {})
        rid = question.metadata.get("rid", row.custom_id)
        metadata = {**question.metadata, "rid": rid}
        question = replace(
            question, route="batch", key=plan.key, metadata=metadata, is_limited=False
        )
        job = service.start(question, now)
        if job.failure:
            raise job.failure
    except Refusal as refusal:
        body = {"error": refusal.fields()}
        batch.errors.append(_line(service, row, status=refusal.status, body=body))
        return
    _count(batch, job)
    if job.draw.is_hanging or job.draw.is_half_open or job.draw.is_stalled:
        batch.hung.append(row)
        service.pay(job.receipt, is_delivered=False, now=now)
        return
    batch.output.append(
        _line(service, row, status=200, body=form.answer(service, request, job, now))
    )
    service.pay(job.receipt, is_delivered=True, now=now)


def _count(batch: Batch, job: Job) -> None:
    batch.input_tokens += job.receipt.input_tokens
    batch.cached_tokens += job.receipt.cached_tokens
    batch.output_tokens += job.receipt.output_tokens


def _line(service: Service, row: Row, *, status: int, body: Json) -> bytes:
    response = {"status_code": status, "request_id": service.new_id("req"), "body": body}
    return _encoded(service, row, response, None)


def _encoded(service: Service, row: Row, response: Json | None, error: Json | None) -> bytes:
    line = {
        "id": service.new_id("batch_req"),
        "custom_id": row.custom_id,
        "response": response,
        "error": error,
    }
    return encode(line) + b"\n"


def _deliver(service: Service, batch: Batch, course: Course) -> None:
    """Make the files of a batch that has ended; rows without an answer get a line of their own."""
    batch.is_delivered = True
    if course.end in ("expired", "cancelled"):
        code, message = _EXPIRED if course.end == "expired" else _CANCELLED
        for row in (*batch.hung, *batch.plan.rows[batch.tried :]):
            error = {"code": code, "message": message}
            batch.errors.append(_encoded(service, row, None, error))
    at_unix = service.unix_time(batch.plan.created) + course.ended_s
    for lines, name in ((batch.output, "output"), (batch.errors, "error")):
        if not lines:
            continue
        stored = keep(
            service,
            b"".join(lines),
            purpose=OUTPUT_PURPOSE,
            filename=f"{batch.plan.id}_{name}.jsonl",
            life_s=batch.plan.output_life_s,
            at_unix=at_unix,
        )
        if name == "output":
            batch.output_file_id = stored.id
        else:
            batch.error_file_id = stored.id


def batch_object(service: Service, batch: Batch, now: float) -> Json:
    """Return what is told about a batch, brought up to date."""
    course = advance(service, batch, now)
    plan, created = batch.plan, service.unix_time(batch.plan.created)

    def at(age_s: float, *, is_told: bool = True) -> int | None:
        return int(created + age_s) if is_told and age_s <= course.age_s else None

    is_good = not plan.problems
    is_begun = course.started_s < course.cancel_s
    return {
        "id": plan.id,
        "object": "batch",
        "endpoint": plan.endpoint,
        "model": plan.model,
        "errors": None if is_good or not course.is_over else _errors(plan),
        "input_file_id": plan.input_file_id,
        "completion_window": WINDOW,
        "status": course.status,
        "output_file_id": batch.output_file_id,
        "error_file_id": batch.error_file_id,
        "created_at": int(created),
        "in_progress_at": at(course.started_s, is_told=is_good and is_begun),
        "expires_at": int(created + service.profile.batch.window_s),
        "finalizing_at": at(course.tried_s, is_told=course.end == "completed"),
        "completed_at": at(course.ended_s, is_told=course.end == "completed"),
        "failed_at": at(course.ended_s, is_told=course.end == "failed"),
        "expired_at": at(course.ended_s, is_told=course.end == "expired"),
        "cancelling_at": at(course.cancel_s),
        "cancelled_at": at(course.ended_s, is_told=course.end == "cancelled"),
        "request_counts": {
            "total": len(plan.rows) if course.age_s >= course.started_s else 0,
            "completed": len(batch.output),
            "failed": len(batch.errors),
        },
        "usage": {
            "input_tokens": batch.input_tokens,
            "input_tokens_details": {"cached_tokens": batch.cached_tokens},
            "output_tokens": batch.output_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": batch.input_tokens + batch.output_tokens,
        },
        "metadata": dict(plan.metadata),
    }


def _errors(plan: Plan) -> Json:
    return {"object": "list", "data": list(plan.problems)}


def _find(service: Service, call: Call) -> Batch:
    batch = service.storage.batches.get(call.name)
    if batch is None:
        raise Refusal(f"No batch found with id '{call.name}'.", status=404, param="batch_id")
    return batch


def look_up(service: Service, call: Call) -> HttpOutcome:
    """Tell about one batch."""
    batch = _find(service, call)
    return settle(service, batch_object(service, batch, call.now), at=call.now)


def cancel(service: Service, call: Call) -> HttpOutcome:
    """Cancel a batch that is under way."""
    batch = _find(service, call)
    status = advance(service, batch, call.now).status
    if status not in ("validating", "in_progress"):
        raise Refusal(f"Cannot cancel a batch with status '{status}'.", param="batch_id")
    batch.cancel_s = (call.now - batch.plan.created) * service.profile.batch.speed
    return settle(service, batch_object(service, batch, call.now), at=call.now)


def list_batches(service: Service, call: Call) -> HttpOutcome:
    """List the batches, newest first."""
    found = [batch_object(service, each, call.now) for each in service.storage.batches.values()]
    found.reverse()
    return settle(service, page(found, call.query, DEFAULT_LIST, LONGEST_LIST), at=call.now)
