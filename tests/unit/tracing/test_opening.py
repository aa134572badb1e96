"""Traces are off unless they are asked for, and then as settings and environment say."""

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from schemas.errors import ConfigurationError
from streams.settings import as_flags, load_settings
from streams.tracing.opening import open_tracing, read_headers
from streams.tracing.provider import Provider
from streams.tracing.settings import TracingSettings
from tests.unit.tracing.traced_lane import SAMPLED, UNSAMPLED, traced

HERE = "http://localhost:4318"


def test_without_an_endpoint_nothing_is_imported_or_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where the environment's variables for OpenTelemetry name one."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", HERE)
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    assert open_tracing(TracingSettings(), group="desk") is None
    code = "import sys, streams.worker.worker; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_sdk_can_be_switched_off_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As everywhere else."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert open_tracing(TracingSettings(endpoint=HERE), group="desk") is None


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.delitem(sys.modules, "streams.tracing.provider")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with pytest.raises(ConfigurationError, match=r"needs opentelemetry.*headrace\[tracing\]"):
        open_tracing(TracingSettings(endpoint=HERE), group="desk")


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        (HERE, f"{HERE}/v1/traces"),
        (f"{HERE}/", f"{HERE}/v1/traces"),
        ("https://collector.example/otlp/v1/traces", "https://collector.example/otlp/v1/traces"),
    ],
)
def test_an_endpoint_without_a_path_gets_the_usual_one(endpoint: str, url: str) -> None:
    """Of OTLP over HTTP."""
    assert TracingSettings(endpoint=endpoint).url == url


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"endpoint": "collector:4317"}, "is not an http or https URL"),
        ({"endpoint": "grpc://collector:4317"}, "is not an http or https URL"),
        ({"endpoint": "https://me:secret@collector"}, "holds a name or password"),
        ({"endpoint": "http://collector", "headers_file": "h"}, "is not an https URL"),
        ({"sample_ratio": 2}, "sample_ratio"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    settings: dict[str, object], complaint: str
) -> None:
    """At once, with the setting's name, and without a secret."""
    with pytest.raises(ConfigurationError, match="tracing") as refused:
        load_settings(environment={}, flags={"tracing": settings})
    assert complaint in str(refused.value)
    assert "secret" not in str(refused.value)


def test_worker_processes_get_the_settings_of_their_supervisor() -> None:
    """Which hands them over as plain values."""
    told = {"endpoint": HERE, "sample_ratio": 0.0, "service_name": "desk"}
    settings = load_settings(environment={}, flags={"tracing": told})
    again = load_settings(environment={}, flags=as_flags(settings))
    assert again.tracing == settings.tracing != TracingSettings()


def test_headers_are_read_from_a_file(tmp_path: Path) -> None:
    """One a line, with comments."""
    file = tmp_path / "headers"
    file.write_text("# of the collector\nAuthorization: Bearer abc:def\n\nX-Tenant:  desk \n")
    assert read_headers(str(file)) == {"Authorization": "Bearer abc:def", "X-Tenant": "desk"}


def test_a_line_that_is_no_header_is_refused_and_not_repeated(tmp_path: Path) -> None:
    """It may be a secret."""
    file = tmp_path / "headers"
    file.write_text("X-Tenant: desk\nhunter2\n")
    with pytest.raises(ConfigurationError, match=r"tracing\.headers_file: line 2") as refused:
        read_headers(str(file))
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("variables", "setting", "name"),
    [
        ({}, None, "headrace"),
        ({"OTEL_SERVICE_NAME": "of-the-environment"}, None, "of-the-environment"),
        ({"OTEL_SERVICE_NAME": "of-the-environment"}, "of-the-settings", "of-the-settings"),
        (
            {"OTEL_RESOURCE_ATTRIBUTES": "service.name=named,deployment.environment=test"},
            None,
            "named",
        ),
    ],
)
async def test_the_service_is_named_by_settings_then_environment(
    variables: dict[str, str],
    setting: str | None,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else it is called headrace."""
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    provider = Provider(TracingSettings(service_name=setting), InMemorySpanExporter(), group="desk")
    await provider.close(5)
    attributes = provider._resource.attributes
    assert attributes["service.name"] == name
    assert attributes["service.version"]
    assert ("deployment.environment" in attributes) == ("OTEL_RESOURCE_ATTRIBUTES" in variables)


@pytest.mark.parametrize(
    ("sampler", "followed"),
    [
        ("always_on", {"with", "without", "unsampled"}),
        ("always_off", set()),
        ("parentbased_always_on", {"with", "without"}),
        ("parentbased_always_off", {"with"}),
    ],
)
async def test_the_environment_names_the_sampler_where_no_ratio_is_set(
    sampler: str, followed: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are shown whenever one of their events is."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", sampler)
    async with traced(sample_ratio=None) as rig:
        rig.send("with")
        rig.send("without", traceparent=None)
        rig.send("unsampled", traceparent=UNSAMPLED)
        spans = await rig.spans(3)
    found = {
        span.attributes["messaging.message.id"] for span in spans.get("process events.news", [])
    }
    assert found == followed
    linked = sum(len(span.links) for span in spans.get("run fake", []))
    assert linked == len(followed)


async def test_the_ratio_decides_how_many_begin_a_trace() -> None:
    """One in two here, give or take, of events without one; those with one are not counted."""
    async with traced(sample_ratio=0.5) as rig:
        rig.send(*(f"n-{number}" for number in range(200)), traceparent=None)
        rig.send("with", traceparent=SAMPLED)
        spans = await rig.spans(201)
    assert 60 <= len(spans["process events.news"]) - 1 <= 140
