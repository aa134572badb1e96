"""What a broker's superuser does: users of SCRAM, and access rules.

aiokafka 0.14 has no such calls; these are the requests that Kafka's own tools send.
"""

import hashlib
import os
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

TOPIC, GROUP, CLUSTER, TRANSACTIONAL_ID = 2, 3, 4, 5
READ, WRITE, CREATE, DESCRIBE, IDEMPOTENT_WRITE = 3, 4, 5, 8, 12
_ALLOW, _LITERAL = 3, 3
_ITERATIONS = 4096
_MECHANISMS = {"SCRAM-SHA-256": (1, "sha256"), "SCRAM-SHA-512": (2, "sha512")}
_RULE = (
    ("resource_type", Int8),
    ("resource_name", String("utf-8")),
    ("pattern_type", Int8),
    ("principal", String("utf-8")),
    ("host", String("utf-8")),
    ("operation", Int8),
    ("permission_type", Int8),
)


class _CreateAclsResponse(Response):
    API_KEY, API_VERSION = 30, 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("results", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class _CreateAclsStruct(RequestStruct):
    API_KEY, API_VERSION, RESPONSE_TYPE = 30, 1, _CreateAclsResponse
    SCHEMA = Schema(("creations", Array(*_RULE)))


class _DeleteAclsResponse(Response):
    API_KEY, API_VERSION = 31, 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            Array(
                ("error_code", Int16),
                ("error_message", String("utf-8")),
                (
                    "matching",
                    Array(("error_code", Int16), ("error_message", String("utf-8")), *_RULE),
                ),
            ),
        ),
    )


class _DeleteAclsStruct(RequestStruct):
    API_KEY, API_VERSION, RESPONSE_TYPE = 31, 1, _DeleteAclsResponse
    SCHEMA = Schema(("filters", Array(*_RULE)))


class _ScramResponse(Response):
    API_KEY, API_VERSION = 51, 0
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ScramStruct(RequestStruct):
    API_KEY, API_VERSION, RESPONSE_TYPE = 51, 0, _ScramResponse
    FLEXIBLE_VERSION = True
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _CreateAcls(Request[_CreateAclsStruct]):
    API_KEY = 30

    def __init__(self, rules: list[tuple[Any, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[_CreateAclsStruct]) -> _CreateAclsStruct:
        return request_struct_class(self._rules)


class _DeleteAcls(Request[_DeleteAclsStruct]):
    API_KEY = 31

    def __init__(self, rules: list[tuple[Any, ...]]) -> None:
        self._rules = rules

    def build(self, request_struct_class: type[_DeleteAclsStruct]) -> _DeleteAclsStruct:
        return request_struct_class(self._rules)


class _Scram(Request[_ScramStruct]):
    API_KEY = 51

    def __init__(self, upsertions: list[tuple[Any, ...]]) -> None:
        self._upsertions = upsertions

    def build(self, request_struct_class: type[_ScramStruct]) -> _ScramStruct:
        return request_struct_class([], self._upsertions, {})


def _rule(principal: str, kind: int, name: str, operation: int) -> tuple[Any, ...]:
    return (kind, name, _LITERAL, principal, "*", operation, _ALLOW)


async def allow(admin: AIOKafkaAdminClient, user: str, *rights: tuple[int, str, int]) -> None:
    """Grant rights, each a kind of resource, its name and an operation."""
    rules = [_rule(f"User:{user}", *right) for right in rights]
    answer = await admin._send_to_controller(_CreateAcls(rules))
    assert [code for code, _ in answer.results] == [0] * len(rules), answer


async def withdraw(admin: AIOKafkaAdminClient, user: str, *rights: tuple[int, str, int]) -> None:
    """Take rights away again."""
    rules = [_rule(f"User:{user}", *right) for right in rights]
    answer = await admin._send_to_controller(_DeleteAcls(rules))
    assert [len(found) for _, _, found in answer.results] == [1] * len(rules), answer


async def add_user(admin: AIOKafkaAdminClient, name: str, password: str, mechanism: str) -> None:
    """Let a user log in by SCRAM."""
    number, digest = _MECHANISMS[mechanism]
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, _ITERATIONS)
    answer = await admin._send_to_controller(
        _Scram([(name, number, _ITERATIONS, salt, salted, {})])
    )
    assert [code for _, code, _, _ in answer.results] == [0], answer
