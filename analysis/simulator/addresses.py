"""The addresses of the service: the vendor's own and the two forms of Azure.

Pure. `routes` and `handshake` ask it what a URL stands for. Sources: section 1.4 of the protocol
notes and the URLs of openai-python 3.52.0. That Azure's v1 form has the same paths as the vendor
beside Realtime is a guess.

    /v1/...                                            the vendor
    /openai/v1/...                                     Azure v1; Realtime in the GA dialect
    /openai/...?api-version=                           Azure dated; Realtime in the beta dialect
    /openai/deployments/<name>/...?api-version=        Azure dated, the deployment in the path
    /openai/realtime?api-version=&deployment=<name>    Azure dated, the deployment in the query
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from analysis.simulator.profile import REALTIME_MODELS, TEXT_MODELS
from analysis.simulator.refusals import Refusal
from analysis.simulator.service import Service

REALTIME_PATH = "/v1/realtime"
LANES_PATH = "/v1/responses"
"""Path of the Responses API, in WebSocket mode as over HTTP."""
_AZURE_V1 = "/openai/v1/"
_AZURE = "/openai/"
_DEPLOYMENTS = "deployments/"
_VERSION = "api-version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """What a URL stands for.

    Attributes:
        path: The path that the vendor has for it, or the path itself if it is unknown.
        is_azure: It has one of the forms of Azure; models are deployments there.
        dialect: Dialect of the Realtime API at this address; None is that of the service.
        deployment: Name of the deployment if the URL has one; else the request names it.
    """

    path: str
    is_azure: bool = False
    dialect: str | None = None
    deployment: str | None = None


def find_address(path: str, query: Mapping[str, str]) -> Address:
    """Return what a URL stands for; the path is decoded."""
    if path.startswith(_AZURE_V1):
        return Address(path=f"/v1/{path.removeprefix(_AZURE_V1)}", is_azure=True, dialect="ga")
    if not path.startswith(_AZURE) or not query.get(_VERSION):
        return Address(path=path)
    rest = path.removeprefix(_AZURE)
    deployment = query.get("deployment")
    if rest.startswith(_DEPLOYMENTS):
        deployment, _, rest = rest.removeprefix(_DEPLOYMENTS).partition("/")
    return Address(path=f"/v1/{rest}", is_azure=True, dialect="beta", deployment=deployment)


def served_model(service: Service, deployment: str) -> str:
    """Return the model behind the name of a deployment.

    Raises:
        Refusal: If there is no such deployment (code and text: G).
    """
    if deployment in TEXT_MODELS | REALTIME_MODELS | {service.answerer.name}:
        return deployment
    if service.profile.is_any_deployment_good:
        return service.answerer.name
    raise Refusal(
        "The API deployment for this resource does not exist.",
        status=404,
        code="DeploymentNotFound",
    )
