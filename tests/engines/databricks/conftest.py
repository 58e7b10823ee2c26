from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from databricks import sql
from tests.engines.databricks.fake import FakeConnection, opened

from anabranch.engines.databricks import DatabricksSession


@pytest.fixture
def fake(monkeypatch) -> FakeConnection:
    connection = FakeConnection()

    def connect(**arguments: Any) -> FakeConnection:
        connection.arguments = arguments
        failing = connection.answers.get("connect")
        if isinstance(failing, Exception):
            raise failing
        return connection

    monkeypatch.setattr(sql, "connect", connect)
    return connection


@pytest.fixture
def session(fake) -> Iterator[DatabricksSession]:
    with opened().session() as found:
        yield found
