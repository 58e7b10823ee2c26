"""BigQuery's errors as Anabranch's: what it says itself, without addresses, and what to do next."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from anabranch.errors import AnabranchError, StatementFailed, WarehouseUnavailable

LOGIN = "log in anew (gcloud auth application-default login), or set warehouse.settings.credentials to a key file"
PASSING = frozenset(
    {
        "backendError",
        "badGateway",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
        "rateLimitExceeded",
    }
)
"""What the driver repeats by itself: a job that ended with one of these has changed nothing."""

_LINES = 4
_HINTS = {
    "accessDenied": "ask for a role on the project or the dataset: roles/bigquery.jobUser to run statements,"
    " roles/bigquery.dataViewer to read, roles/bigquery.dataEditor to write",
    "billingNotEnabled": "link the project to a billing account, or set warehouse.settings.billing_project",
    "bytesBilledLimitExceeded": "raise warehouse.settings.maximum_bytes_billed, or have the query read less",
    "quotaExceeded": "wait until the quota is renewed (most are at midnight, Pacific Time), or have it raised",
    "rateLimitExceeded": "run it again later, or set warehouse.connections lower",
    "resourcesExceeded": "split the query: one step of it was too large for the slots it had",
    "responseTooLarge": "read fewer rows at a time",
    "stopped": "run it again",
}
_ADDRESS = re.compile(r"\A(GET|POST|PUT|PATCH|DELETE) \S+: |https?://\S+")


def reason(error: BaseException) -> str:
    """BigQuery's own word for what went wrong; ``""`` where there is none."""
    errors = getattr(error, "errors", None) or [{}]
    found = errors[0].get("reason", "") if isinstance(errors[0], dict) else ""
    return str(found)


def said(error: BaseException) -> str:
    """What BigQuery says, and no more: its first lines, without the address that was asked."""
    errors = getattr(error, "errors", None) or [{}]
    told = errors[0].get("message") if isinstance(errors[0], dict) else None
    text = str(told or getattr(error, "message", None) or error)
    lines = [line.rstrip() for line in _ADDRESS.sub("", text).strip().splitlines() if line.strip()]
    return "\n".join(lines[:_LINES]) or type(error).__name__


def is_lost(error: BaseException) -> bool:
    """Whether no answer came: it isn't known what happened to what was asked."""
    import requests.exceptions
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, requests.exceptions.SSLError):
        return False
    lost = (ConnectionError, requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError)
    late = (requests.exceptions.Timeout, TimeoutError, auth.TransportError)
    between = (api.BadGateway, api.ServiceUnavailable, api.GatewayTimeout)  # a proxy's answer, which has no reason
    return isinstance(error, (*lost, *late)) or (isinstance(error, between) and not reason(error))


def told(error: Exception, place: str) -> AnabranchError:
    """What the driver raised, as an error of ours."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, api.RetryError) and isinstance(error.cause, Exception):
        return told(error.cause, place)
    if isinstance(error, auth.RefreshError):
        return WarehouseUnavailable(f"the credentials for {place} are expired or were revoked", hint=LOGIN)
    if isinstance(error, auth.DefaultCredentialsError):
        return WarehouseUnavailable(f"there are no credentials for {place}", hint=LOGIN)
    if isinstance(error, api.Unauthorized):
        return WarehouseUnavailable(f"{place} doesn't take the credentials", hint=LOGIN)
    if is_lost(error):
        return WarehouseUnavailable(
            f"{place} is out of reach ({type(error).__name__})",
            hint="check the network and the proxy settings, then run it again: what had begun is looked for first",
        )
    if isinstance(error, auth.GoogleAuthError):
        return WarehouseUnavailable(f"the credentials for {place} can't be used ({type(error).__name__})", hint=LOGIN)
    return failed(reason(error) or type(error).__name__, said(error))


def failed(kind: str, text: str) -> StatementFailed:
    """A statement that BigQuery refused, with a hint where there is something to do about it."""
    hint = _HINTS.get(kind)
    if kind == "notFound" and "Dataset" in text and "in location" in text:
        hint = "check the dataset's name, and that warehouse.settings.location says where it is"
    return StatementFailed(text, kind=kind, hint=hint)


@contextlib.contextmanager
def errors(place: str) -> Iterator[None]:
    """Raises what the driver raises as an error of ours."""
    import requests.exceptions
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    try:
        yield
    except (
        api.GoogleAPIError,
        auth.GoogleAuthError,
        requests.exceptions.RequestException,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise told(error, place) from error
