"""The input file of a batch: its rows, or what is wrong with them.

Pure. `batches` calls it when a batch is created. Source: section 7.4 of the protocol notes; codes
and wordings follow reports of users and are guesses.
"""

from __future__ import annotations

import msgspec

from analysis.simulator.profile import TEXT_MODELS
from analysis.simulator.refusals import Json, Refusal, check_fields, check_type, missing_parameter
from analysis.simulator.service import Service
from analysis.simulator.storage import Row, StoredFile

PROBLEMS_TOLD = 100
"""Lines of a bad input file about which a batch tells (G)."""
_ROW_FIELDS = ("custom_id", "method", "url", "body")
_decode = msgspec.json.Decoder().decode


def read_rows(service: Service, stored: StoredFile, endpoint: str) -> tuple[list[Row], list[Json]]:
    """Return the rows of an input file, or no rows and what is wrong with them.

    Args:
        service: The account.
        stored: The file, one JSON object per line.
        endpoint: The address that all rows must have.
    """
    rules = service.profile.batch
    lines = [
        (number, line) for number, line in enumerate(stored.content.splitlines(), 1) if line.strip()
    ]
    if not lines:
        return [], [problem("empty_file", "The input file has no requests.")]
    if len(lines) > rules.rows:
        text = f"The input file has {len(lines)} requests; at most {rules.rows} are allowed."
        return [], [problem("too_many_requests", text)]
    reader = _RowReader(service, endpoint)
    rows: list[Row] = []
    problems: list[Json] = []
    for number, line in lines:
        try:
            rows.append(reader.read(line))
        except Refusal as refusal:
            problems.append(
                problem(refusal.code, refusal.message, line=number, param=refusal.param)
            )
    return ([] if problems else rows), problems[:PROBLEMS_TOLD]


def problem(
    code: str | None, message: str, *, line: int | None = None, param: str | None = None
) -> Json:
    """Return one error of a validation; lines are counted from 1."""
    return {"code": code, "message": message, "line": line, "param": param}


class _RowReader:
    """Reads the lines of one input file and compares them with those before."""

    def __init__(self, service: Service, endpoint: str) -> None:
        self._models = TEXT_MODELS | {service.answerer.name}
        self._endpoint = endpoint
        self._ids: set[str] = set()
        self._model: str | None = None

    def read(self, line: bytes) -> Row:
        """Return the row of a line.

        Raises:
            Refusal: With code, text and param of the problem.
        """
        try:
            value = _decode(line)
        except msgspec.DecodeError as error:
            raise Refusal(
                "This line is not parseable as valid JSON.", code="invalid_json_line"
            ) from error
        fields = check_fields(value, _ROW_FIELDS, "")
        for name in _ROW_FIELDS:
            if fields.get(name) is None:
                raise missing_parameter(name)
        custom_id = check_type(fields["custom_id"], str, "a string", "custom_id")
        body = check_type(fields["body"], dict, "an object", "body")
        if custom_id in self._ids:
            raise Refusal(
                f"The custom_id '{custom_id}' for this request is a duplicate of another request. "
                "The custom_id parameter must be unique for each request in a batch.",
                code="duplicate_custom_id",
                param="custom_id",
            )
        self._ids.add(custom_id)
        if fields["method"] != "POST":
            raise Refusal("The method must be POST.", code="invalid_method", param="method")
        if fields["url"] != self._endpoint:
            raise Refusal(
                "The URL provided for this request does not match the batch endpoint.",
                code="mismatched_endpoint",
                param="url",
            )
        self._check_model(body.get("model"))
        return Row(custom_id=custom_id, body=body)

    def _check_model(self, model: object) -> None:
        if not model:
            raise missing_parameter("body.model")
        if not isinstance(model, str) or model not in self._models:
            raise Refusal(
                f"The provided model '{model}' is not supported by the Batch API.",
                code="model_not_found",
                param="body.model",
            )
        if self._model not in (None, model):
            raise Refusal(
                f"The provided model '{model}' does not match the other requests in the batch, "
                f"'{self._model}'. All requests of a batch must have the same model.",
                code="mismatched_model",
                param="body.model",
            )
        self._model = model
