"""The documents of the interface are valid, complete, and what is committed."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from streams.connection import Connection
from streams.gateway.documents import asyncapi, generate, openapi
from streams.gateway.server import Gateway
from streams.gateway.settings import GatewaySettings
from streams.gateway.tokens import Tokens
from streams.subscription import KINDS

OPENAPI, ASYNCAPI = openapi.build(), asyncapi.build()


def application() -> web.Application:
    """Return all that a gateway serves."""
    return Gateway(Connection("localhost:1"), GatewaySettings(), Tokens([])).application()


def references(document: Any) -> Iterator[str]:
    """Yield what a document refers to."""
    if isinstance(document, dict):
        if isinstance(found := document.get("$ref"), str):
            yield found
        for inner in document.values():
            yield from references(inner)
    elif isinstance(document, list):
        for inner in document:
            yield from references(inner)


def found(document: Any, reference: str) -> Any:
    """Follow a reference."""
    for part in reference.removeprefix("#/").split("/"):
        document = document[part]
    return document


def test_the_committed_documents_are_those_that_are_made() -> None:
    """A change of types, filters or endpoints shows in review."""
    assert generate.main(["--check"]) == 0


def test_a_document_that_is_not_up_to_date_is_told(
    tmp_path: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """And written anew unless it is only checked."""
    assert generate.main(["--check"], tmp_path) == 1
    assert "openapi.json is not up to date" in capsys.readouterr().err
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0


def test_the_openapi_document_is_valid() -> None:
    """By the specification's own schema."""
    assert [str(error) for error in OpenAPIV31SpecValidator(OPENAPI).iter_errors()] == []


def test_every_endpoint_is_in_the_document() -> None:
    """And no other, but for the page's own files."""
    served = {
        (re.sub(r"\{(\w+):[^}]*\}", r"{\1}", resource.canonical), route.method)
        for resource in application().router.resources()
        for route in resource
    }
    described = {
        (path, method.upper()) for path, item in OPENAPI["paths"].items() for method in item
    }
    ours = {
        (path, method)
        for path, method in served
        if method != "HEAD" and (path.startswith("/v1/") or path in OPENAPI["paths"])
    }
    assert ours == described


def test_every_filter_is_in_the_document() -> None:
    """With what it means for each kind of topic."""
    parameters = {
        one["name"]: one for one in OPENAPI["paths"]["/v1/stream/{topic}"]["get"]["parameters"]
    }
    for kind in KINDS.values():
        for name, one in kind.wanted.FILTERS.items():
            assert one.about in parameters[name]["description"]
    assert parameters["verdict"]["schema"]["items"]["enum"][0] == "on_time"


@pytest.mark.parametrize("document", [OPENAPI, ASYNCAPI], ids=["openapi", "asyncapi"])
def test_references_lead_somewhere_and_schemas_are_schemas(document: dict[str, Any]) -> None:
    """In the dialect that the contracts are written in."""
    for reference in references(document):
        assert found(document, reference) is not None
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_operations_send_and_receive_messages_of_their_channels() -> None:
    """Every message has a payload, and every kind of topic is published, streamed and told."""
    for name, operation in ASYNCAPI["operations"].items():
        channel = found(ASYNCAPI, operation["channel"]["$ref"])
        assert operation["action"] in {"send", "receive"}, name
        for message in operation.get("messages", []):
            own = found(ASYNCAPI, message["$ref"])
            assert own in channel["messages"].values()
            assert "payload" in found(ASYNCAPI, own["$ref"])
    for channel in ASYNCAPI["channels"].values():
        named = set(re.findall(r"\{(\w+)\}", channel["address"]))
        assert named == set(channel.get("parameters", {}))
    for kind in KINDS.values():
        operations = set(ASYNCAPI["operations"])
        assert {f"publish_{kind.event}", f"stream_{kind.event}"} <= operations
        assert f"told_{kind.event}" in ASYNCAPI["channels"]["socket"]["messages"]


async def test_both_are_served() -> None:
    """As they are committed."""
    async with TestClient(TestServer(application())) as client:
        for name, document in (("openapi", OPENAPI), ("asyncapi", ASYNCAPI)):
            response = await client.get(f"/v1/{name}.json")
            assert response.content_type == "application/json"
            assert await response.json() == document
