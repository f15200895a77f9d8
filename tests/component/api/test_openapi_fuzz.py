"""Schemathesis reads the OpenAPI document and calls every operation with data that fits it and data that does not.

No answer may be a 5xx, and each must be documented: status, media type and shape. What does not fit must be refused.
Seeded and bounded, so that a run is the same each time and takes seconds.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)

from tests.component.api.conftest import Prepared, serving
from tests.component.api.support import WISH, Caller
from tests.component.api.test_access import EXPECTED, PUBLIC

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
BOUNDED = settings(
    max_examples=8,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Target(NamedTuple):
    """The service, its document, and ids of things that are there."""

    schema: Any
    real: dict[str, Any]


@pytest.fixture(scope="module")
def target(prepared: Prepared, discovered: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    path = tmp_path_factory.mktemp("fuzz") / "record.db"
    shutil.copy(discovered, path)
    with serving(prepared, path) as app:
        admin = Caller(app.test_client(), prepared.tokens["admin"])
        accepted = admin.post("/gpu/allocate", {**WISH, "executor": "external"}).json or {}
        real = {
            "workflow_id": accepted["workflow_id"],
            "allocation_id": accepted["allocation_id"],
            "id": accepted["allocation_id"],
            "gpu_id": (admin.get("/gpu/available").json or {})["items"][0]["id"],
            "server": "gpu-00",
            "switch": "leaf-1",
            "step": "reserve",
            "kind": "first-boot",
        }
        yield Target(schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app), real)


@pytest.mark.parametrize("operation_id", sorted({*EXPECTED, *PUBLIC}))
def test_an_operation_answers_as_documented(target: Target, prepared: Prepared, operation_id: str) -> None:
    operation = target.schema.find_operation_by_id(operation_id)
    headers = {"Authorization": f"Bearer {prepared.tokens['admin']}"}
    # made-up ids alone would never get past the 404
    known = {name: target.real[name] for name in _path_parameters(operation) if name in target.real}
    takes_data = operation.body or operation.query
    for mode in GenerationMode if takes_data else (GenerationMode.POSITIVE,):
        for path_parameters in [None, known] if known else [None]:

            @BOUNDED
            @given(case=operation.as_strategy(mode, path_parameters=path_parameters))
            def call(case: Any) -> None:
                case.call_and_validate(headers=headers, checks=CHECKS)

            call()


def _path_parameters(operation: Any) -> list[str]:
    return [parameter.name for parameter in operation.path_parameters]
