"""Statements as jobs of BigQuery. Each runs under an id of ours: where the connection is lost while one is begun, it is
asked for by that id, and is never begun a second time beside one that arrived."""

from __future__ import annotations

import contextlib
import random
import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar, cast

from anabranch.engines.bigquery.errors import PASSING, errors, failed, is_lost, reason, said
from anabranch.errors import StatementFailed, WarehouseError

if TYPE_CHECKING:
    from google.api_core.retry import Retry
    from google.cloud import bigquery
    from google.cloud.bigquery.job import LoadJob, QueryJob
    from google.cloud.bigquery.table import RowIterator

REQUEST = 60.0
"""Seconds that one request may take."""
PAGE = 20_000
"""Rows of one answer at most; BigQuery sends fewer where they are large."""

_LONGEST_PAUSE = 30.0
_STOPPED_TOGETHER = 8
_DISTURBED = "Could not serialize access"
"""Of DML on a table that another statement changed meanwhile."""

Job = TypeVar("Job", "QueryJob", "LoadJob")


class _Passed(Exception):
    """A job failed for a reason that passes, and has changed nothing."""

    def __init__(self, failure: StatementFailed) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Jobs:
    """Those of one engine; to be used by any number of threads."""

    def __init__(
        self, client: bigquery.Client, place: str, location: str, options: Mapping[str, object], patience: float
    ) -> None:
        """``options``: of the configuration of each query. ``patience``: seconds to go on trying where it may pass."""
        self.client = client
        self._place = place
        self._location = location
        self._options = dict(options)
        self._patience = patience
        self._running: dict[str, None] = {}
        """The ids of those under way."""
        self._stops = 0
        """How often :meth:`interrupt` was called."""

    @property
    def retry(self) -> Retry:
        """For requests that may be repeated as they are."""
        from google.cloud.bigquery.retry import DEFAULT_RETRY

        return DEFAULT_RETRY.with_timeout(self._patience)

    @property
    def _once(self) -> Retry:
        from google.api_core.retry import Retry

        return Retry(predicate=lambda error: False)

    def run(
        self, statement: str, labels: Mapping[str, str], page: int = PAGE, most: int | None = None
    ) -> tuple[QueryJob, RowIterator]:
        """Runs a statement to its end. ``page``: rows of a part of the answer. ``most``: rows to read."""
        from google.cloud.bigquery import QueryJobConfig

        def begin(job_id: str, retry: Retry) -> QueryJob:
            return self.client.query(
                statement,
                job_config=QueryJobConfig(labels=dict(labels), **self._options),
                job_id=job_id,
                location=self._location,
                retry=retry,
                timeout=REQUEST,
                job_retry=None,
            )

        def result(job: QueryJob, retry: Retry) -> RowIterator:
            return job.result(page_size=page, max_results=most, retry=retry, job_retry=None)

        job = self._run(begin, result)
        with errors(self._place):
            return job, result(job, self.retry)

    def load(self, begin: Callable[[str], LoadJob]) -> LoadJob:
        """Loads a file. ``begin`` sends it, for the job of the id that it is given."""
        return self._run(lambda job_id, retry: begin(job_id), lambda job, retry: job.result(retry=retry))

    def look_at(self, statement: str) -> QueryJob:
        """What BigQuery says of a statement without running it: its kind, the columns of its answer."""
        from google.cloud.bigquery import QueryJobConfig

        config = QueryJobConfig(dry_run=True, use_query_cache=False, **self._options)
        with errors(self._place):
            return self.client.query(
                statement, job_config=config, location=self._location, retry=self.retry, timeout=REQUEST, job_retry=None
            )

    def interrupt(self) -> None:
        """Has BigQuery stop the jobs under way."""
        self._stops += 1  # without a lock: this may be a signal's handler
        running = list(self._running)
        if running:
            with ThreadPoolExecutor(min(len(running), _STOPPED_TOGETHER), "bigquery-stop") as pool:
                list(pool.map(self._cancel, running))

    def _cancel(self, job_id: str) -> None:
        # one that isn't there yet is stopped when it has begun; one that has ended needs nothing
        with contextlib.suppress(WarehouseError), errors(self._place):
            self.client.cancel_job(job_id, location=self._location, retry=self._once, timeout=10)

    def _run(self, begin: Callable[[str, Retry], Job], result: Callable[[Job, Retry], object]) -> Job:
        deadline, pause, stops = time.monotonic() + self._patience, 1.0, self._stops
        while True:
            try:
                return self._attempt(begin, result)
            except _Passed as passed:
                if time.monotonic() + pause > deadline or self._stops != stops:
                    raise passed.failure from passed
            time.sleep(pause * random.uniform(0.5, 1))  # those that were limited together don't come back together
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _attempt(self, begin: Callable[[str, Retry], Job], result: Callable[[Job, Retry], object]) -> Job:
        job_id, stops = f"anabranch_{uuid.uuid4().hex}", self._stops
        self._running[job_id] = None
        try:
            job = self._begun(begin, job_id)
            if self._stops != stops:
                self._cancel(job_id)
            self._wait(job, result)
            return job
        finally:
            del self._running[job_id]

    def _begun(self, begin: Callable[[str, Retry], Job], job_id: str) -> Job:
        from google.api_core.exceptions import Conflict, NotFound
        from google.api_core.retry import Retry

        limited = Retry(predicate=lambda error: reason(error) in PASSING, timeout=self._patience)
        deadline = time.monotonic() + self._patience
        with errors(self._place):
            while True:
                try:
                    return begin(job_id, limited)
                except Conflict as error:  # an earlier try did arrive
                    if "Already Exists: Job" not in said(error):
                        raise
                except Exception as error:
                    if not is_lost(error) or time.monotonic() > deadline:
                        raise
                try:
                    found = self.client.get_job(job_id, location=self._location, retry=self.retry, timeout=REQUEST)
                    return cast(Job, found)
                except NotFound:
                    time.sleep(min(1.0, self._patience))  # then it is begun, under the same id

    def _wait(self, job: Job, result: Callable[[Job, Retry], object]) -> None:
        """Until the job has ended well. Whether it was the job that failed, or only the request that asked for its
        result, is found out by asking for the job: the same words stand for both."""
        from google.api_core.exceptions import GoogleAPICallError
        from google.api_core.retry import Retry

        asking = Retry(predicate=is_lost, timeout=self._patience)
        deadline = None
        with errors(self._place):
            while True:
                try:
                    result(job, asking)
                    return
                except GoogleAPICallError as error:
                    job.reload(retry=self.retry, timeout=REQUEST)
                    if job.error_result:
                        self._fail(job, error)
                    now = time.monotonic()
                    deadline = deadline or now + self._patience
                    if reason(error) not in PASSING or now > deadline:
                        raise
                time.sleep(1)

    def _fail(self, job: QueryJob | LoadJob, cause: Exception) -> None:
        kind, text = str(job.error_result.get("reason", "")), str(job.error_result.get("message", ""))
        failure = failed(kind or type(cause).__name__, said(RuntimeError(text)) if text else said(cause))
        is_script = getattr(job, "statement_type", None) == "SCRIPT"  # of which a part has been carried out
        if not is_script and (kind in PASSING or _DISTURBED in text):
            raise _Passed(failure) from cause
        raise failure from cause
