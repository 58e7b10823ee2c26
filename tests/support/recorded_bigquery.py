"""The real driver of BigQuery over a transport that answers from here: what was asked is kept, and nothing is sent.

It knows as much of BigQuery as the engine's statements need: jobs end at once, and answer with what a test set for a
statement that holds some words. A connection can be lost before a request arrives, or after."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

import requests
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from anabranch.engines.bigquery import BigQueryEngine

PROJECT = "shop"


@dataclass
class Asked:
    method: str
    path: str
    body: dict[str, Any]


@dataclass
class Recorded:
    """One service, and what it was asked."""

    asked: list[Asked] = field(default_factory=list)
    answers: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """Of queries: some words, and the schema and rows of an answer, or how the job fails."""
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By ``dataset.table``: what the service says of them."""
    policies: dict[str, dict[str, Any]] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    accidents: list[Callable[[Asked], Any]] = field(default_factory=list)
    """Asked about each request before it arrives: what they return is the answer, what they raise is raised."""
    after: list[Callable[[Asked], None]] = field(default_factory=list)
    """The same once it has arrived."""

    @property
    def statements(self) -> list[str]:
        """Those that were run, without the ones that were only looked at."""
        return [j["configuration"]["query"]["query"] for j in self.jobs.values() if "query" in j["configuration"]]

    def of(self, method: str, part: str) -> list[Asked]:
        return [a for a in self.asked if a.method == method and part in a.path]

    # -- the transport ---------------------------------------------------------------------------------------------
    is_mtls = False

    def request(self, method: str, url: str, data: Any = None, **_: Any) -> requests.Response:
        asked = Asked(method, unquote(urlsplit(url).path), json.loads(data) if data else {})
        self.asked.append(asked)
        for accident in list(self.accidents):
            answer: requests.Response | None = accident(asked)
            if answer is not None:
                return answer
        status, body = self._answer(asked)
        for accident in list(self.after):
            accident(asked)
        return answered(status, body, method, url)

    def close(self) -> None:
        pass

    @property
    def _auth_request(self) -> Any:
        class Request:
            session = self

        return Request

    def _answer(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        for method, pattern, answer in (
            ("GET", r"/datasets$", self._datasets),
            ("GET", r"/datasets/([^/]+)/tables/([^/]+)$", self._table),
            ("POST", r"/datasets/([^/]+)/tables/([^/]+):getIamPolicy$", self._policy),
            ("POST", r"/jobs$", self._begin),
            ("GET", r"/queries/([^/]+)$", self._result),
            ("POST", r"/jobs/([^/]+)/cancel$", self._cancel),
            ("GET", r"/jobs/([^/]+)$", self._job),
        ):
            match = re.search(pattern, asked.path)
            if method == asked.method and match:
                return answer(asked, *match.groups())
        raise AssertionError(f"nothing answers {asked}")

    def _datasets(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        return 200, {"datasets": []}

    def _table(self, asked: Asked, dataset: str, table: str) -> tuple[int, dict[str, Any]]:
        found = self.tables.get(f"{dataset}.{table}")
        if found is None:
            return 404, failure("notFound", f"Not found: Table {PROJECT}:{dataset}.{table}")
        reference = {"projectId": PROJECT, "datasetId": dataset, "tableId": table}
        return 200, {"tableReference": reference, "type": "TABLE", "schema": {"fields": []}, **found}

    def _policy(self, asked: Asked, dataset: str, table: str) -> tuple[int, dict[str, Any]]:
        if f"{dataset}.{table}" not in self.tables:
            return 404, failure("notFound", "Not found")
        return 200, self.policies.get(f"{dataset}.{table}", {"version": 1, "etag": "ACAB"})

    def _begin(self, asked: Asked) -> tuple[int, dict[str, Any]]:
        query = asked.body["configuration"]["query"]["query"]
        answer = self._set(query)
        is_dry = asked.body["configuration"].get("dryRun", False)
        job_id = asked.body["jobReference"].get("jobId", "dry")
        if job_id in self.jobs:
            return 409, failure("duplicate", f"Already Exists: Job {PROJECT}:US.{job_id}")
        if is_dry and "error" in answer:
            return 400, failure(**answer["error"])
        job = {
            "kind": "bigquery#job",
            "jobReference": {"projectId": PROJECT, "jobId": job_id, "location": "US"},
            "configuration": asked.body["configuration"],
            "status": {"state": "DONE"},
            "statistics": {
                "query": {
                    "statementType": answer.get("kind", "SELECT"),
                    **({"schema": {"fields": answer["fields"]}} if "fields" in answer else {}),
                }
            },
        }
        if "error" in answer:
            told = {"reason": answer["error"]["reason"], "message": answer["error"]["message"]}
            job["status"] = {"state": "DONE", "errorResult": told, "errors": [told]}
            answer["left"] = answer.get("left", 10**9) - 1
        if not is_dry:
            self.jobs[job_id] = job
        return 200, job

    def _set(self, query: str) -> dict[str, Any]:
        for words, answer in self.answers:
            if words in query and answer.get("left", 1) > 0:
                return answer
        return {}

    def _job(self, asked: Asked, job_id: str) -> tuple[int, dict[str, Any]]:
        if job_id not in self.jobs:
            return 404, failure("notFound", f"Not found: Job {PROJECT}:{job_id}")
        return 200, self.jobs[job_id]

    def _cancel(self, asked: Asked, job_id: str) -> tuple[int, dict[str, Any]]:
        status, job = self._job(asked, job_id)
        return status, {"job": job}

    def _result(self, asked: Asked, job_id: str) -> tuple[int, dict[str, Any]]:
        status, job = self._job(asked, job_id)
        if status == 200 and "errorResult" in job["status"]:
            told = job["status"]["errorResult"]
            return (503 if told["reason"] == "backendError" else 400), failure(**told)
        answer = self._set(job["configuration"]["query"]["query"])
        rows = [{"f": [{"v": v} for v in row]} for row in answer.get("rows", [])]
        has_rows = {"totalRows": str(len(rows)), "rows": rows} if "fields" in answer else {}
        return 200, {
            "jobComplete": True,
            "jobReference": job["jobReference"],
            "schema": {"fields": answer.get("fields", [])},
            **has_rows,
        }


def failure(reason: str, message: str) -> dict[str, Any]:
    return {"error": {"code": 0, "message": message, "errors": [{"reason": reason, "message": message}]}}


def answered(
    status: int, body: dict[str, Any], method: str = "GET", url: str = "https://bigquery.test/"
) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    answer._content = json.dumps(body).encode()
    answer.headers["Content-Type"] = "application/json"
    answer.request = requests.Request(method, url).prepare()
    answer.url = url
    return answer


class RecordedEngine(BigQueryEngine):
    """The engine, over that transport."""

    def __init__(self, recorded: Recorded, **options: Any) -> None:
        super().__init__(PROJECT, **{"patience": 5, **options})
        self.recorded = recorded

    def _connect(self) -> bigquery.Client:
        http: Any = self.recorded
        return bigquery.Client(self._billed, credentials=AnonymousCredentials(), location=self._location, _http=http)
