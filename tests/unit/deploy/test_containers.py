"""The compose file, the image and the settings of the worker fit each other."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from schemas.limits import DEFAULT_LIMITS
from streams.broker.docker import IMAGE
from streams.settings import Settings, load_settings
from streams.tracing.settings import TracingSettings
from streams.worker.supervisor import KILL_AFTER_DRAIN_S

ROOT = Path(__file__).parents[3]
DOCKERFILE = ROOT / "deploy/Dockerfile"
PROMETHEUS = ROOT / "deploy/prometheus/prometheus.yml"
COMPOSE = (ROOT / "docker-compose.yml").read_text()
_SUBSTITUTED = re.compile(r"\$\{\w+:-([^}]*)\}")


def compose() -> dict[str, Any]:
    """Return the compose file with the defaults of its variables."""
    document: dict[str, Any] = yaml.safe_load(_SUBSTITUTED.sub(r"\1", COMPOSE))
    return document


def service(name: str) -> dict[str, Any]:
    """Return one service."""
    found: dict[str, Any] = compose()["services"][name]
    return found


def image_environment() -> dict[str, str]:
    """Return the variables that the image's last stage sets."""
    last_stage = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    (block,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", last_stage, re.MULTILINE)
    return dict(re.findall(r"([A-Z_]+)=(\S+)", block))


def worker_settings() -> Settings:
    """Return what the worker of the compose file is told, over what its image says."""
    given = service("worker")["environment"]
    environment = image_environment() | {name: str(value) for name, value in given.items()}
    return load_settings(environment=environment)


def test_every_variable_of_the_image_is_a_setting() -> None:
    """The image's environment alone is accepted: a misspelt setting would end the start."""
    settings = load_settings(environment=image_environment())
    assert settings.metrics_port == 9464
    assert settings.log_format == "json"
    assert "EXPOSE 9464\n" in DOCKERFILE.read_text()


def test_the_worker_reaches_kafka_where_kafka_says_it_is() -> None:
    """The address that the worker is given is one that Kafka advertises under its service name."""
    kafka = service("kafka")["environment"]
    advertised = dict(part.split("://") for part in kafka["KAFKA_ADVERTISED_LISTENERS"].split(","))
    listening = dict(part.split("://") for part in kafka["KAFKA_LISTENERS"].split(","))
    assert worker_settings().bootstrap_servers == advertised["INTERNAL"]
    assert advertised["INTERNAL"].partition(":")[0] in compose()["services"]
    for name, address in advertised.items():
        assert address.rpartition(":")[2] == listening[name].rpartition(":")[2]
    protocols = kafka["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert {pair.partition(":")[0] for pair in protocols.split(",")} == set(listening)


def test_kafka_is_published_where_its_host_listener_says() -> None:
    """A client on the machine is told the address that the port is published on."""
    (published,) = service("kafka")["ports"]
    address, outside, inside = published.split(":")
    assert address == "127.0.0.1"
    assert outside == inside
    advertised = service("kafka")["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert f"HOST://localhost:{outside}" in advertised.split(",")


def test_prometheus_scrapes_the_port_of_the_workers() -> None:
    """Service name and port of the scrape are those of the compose file."""
    (job,) = yaml.safe_load(PROMETHEUS.read_text())["scrape_configs"]
    (discovery,) = job["dns_sd_configs"]
    assert all(name in compose()["services"] for name in discovery["names"])
    assert discovery["port"] == worker_settings().metrics_port
    assert worker_settings().metrics_host == "0.0.0.0"  # noqa: S104 - within the container
    assert [str(discovery["port"])] == service("worker")["expose"]


def test_the_probe_asks_for_readiness_on_the_port_that_is_served() -> None:
    """A wrong port would make every worker unhealthy, a wrong path none."""
    probe = " ".join(service("worker")["healthcheck"]["test"])
    assert f"127.0.0.1:{worker_settings().metrics_port}/readyz" in probe
    assert "/readyz" in DOCKERFILE.read_text()


def test_a_stop_leaves_time_to_drain() -> None:
    """The engine waits longer than the supervisor, which waits longer than the drain."""
    grace_s = int(service("worker")["stop_grace_period"].removesuffix("s"))
    assert grace_s > worker_settings().drain_ms / 1e3 * 2 + KILL_AFTER_DRAIN_S


def test_memory_holds_every_worker_process() -> None:
    """One process takes about 1 GB, and the supervisor some."""
    limit = service("worker")["mem_limit"]
    assert limit.endswith("g")
    assert int(limit.removesuffix("g")) >= worker_settings().workers + 1


@pytest.mark.parametrize("name", ["kafka", "worker", "prometheus", "grafana", "jaeger"])
def test_services_are_bounded_and_hardened(name: str) -> None:
    """Each service has a pinned image, a probe, a memory limit and no way to more privileges."""
    found = service(name)
    assert re.search(r":v?\d+\.\d+\.\d+$", found["image"])
    assert found["healthcheck"]["test"]
    assert found["mem_limit"]
    assert found["restart"] == "unless-stopped"
    assert found["security_opt"] == ["no-new-privileges:true"]
    assert found["cap_drop"] == ["ALL"]
    assert found.get("read_only", False) is (name != "kafka")
    assert all(str(port).startswith("127.0.0.1:") for port in found.get("ports", []))


def test_traces_are_shown_by_those_who_ask_for_it_alone() -> None:
    """Without the profile and the variable there is no receiver, and nothing is sent to it."""
    jaeger = service("jaeger")
    assert jaeger["profiles"] == ["traces"]
    assert worker_settings().tracing.endpoint is None
    (asked,) = re.findall(
        r"HEADRACE_TRACING_ENDPOINT=(\S+) docker compose --profile traces", COMPOSE
    )
    given = TracingSettings(endpoint=asked)
    given.check()
    assert given.url == f"http://jaeger:{jaeger['expose'][0]}/v1/traces"
    assert "['tracing']" in DOCKERFILE.read_text(), "the image needs the extra"


def test_it_is_the_kafka_that_is_tested_with() -> None:
    """The compose file and the test suite run the same image."""
    assert service("kafka")["image"] == IMAGE


def test_mounted_files_and_volumes_exist() -> None:
    """What a service mounts is in the tree or declared; an absent file would become a folder."""
    declared = set(compose()["volumes"])
    mounts = [mount for each in compose()["services"].values() for mount in each.get("volumes", [])]
    sources = {mount.partition(":")[0] for mount in mounts}
    assert {source for source in sources if not source.startswith("./")} == declared
    assert all((ROOT / source).exists() for source in sources if source.startswith("./"))


def test_grafana_finds_its_dashboards_where_they_are_mounted() -> None:
    """The provider's path is a mount's target."""
    provider = ROOT / "deploy/grafana/provisioning/dashboards/headrace.yml"
    (found,) = yaml.safe_load(provider.read_text())["providers"]
    targets = {mount.split(":")[1] for mount in service("grafana")["volumes"]}
    assert found["options"]["path"] in targets
    home = service("grafana")["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) == found["options"]["path"]
    assert (ROOT / "deploy/grafana/dashboards" / Path(home).name).is_file()


def test_the_image_is_built_from_what_the_engine_is_sent() -> None:
    """Everything that is copied is let through by .dockerignore, and nothing else is."""
    copied = {
        source
        for line in re.findall(r"^COPY (?!--)(.*)$", DOCKERFILE.read_text(), re.MULTILINE)
        for source in line.split()[:-1]
    }
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert "*" in ignored
    assert all((ROOT / source).exists() for source in copied)


def test_the_image_does_not_run_as_root() -> None:
    """The last user is a number above the system's, so that an orchestrator can check it."""
    users = re.findall(r"^USER (\d+):\d+$", DOCKERFILE.read_text(), re.MULTILINE)
    assert users
    assert int(users[-1]) >= 10_000


def test_signals_reach_the_worker() -> None:
    """Exec form under an init: no shell stands between SIGTERM and the drain."""
    assert 'ENTRYPOINT ["/usr/bin/tini", "--", "headrace"]\nCMD ["run"]' in DOCKERFILE.read_text()


def test_the_shared_metrics_have_a_place_to_write() -> None:
    """With a read-only root, counters of several processes need a writable /tmp."""
    worker = service("worker")
    assert worker_settings().workers > 1
    assert [mount.partition(":")[0] for mount in worker["tmpfs"]] == ["/tmp"]  # noqa: S108 - the container's own


def test_topics_take_the_largest_record() -> None:
    """The defaults that the compose file leaves alone let an event of any accepted size in."""
    assert worker_settings().max_record_bytes > DEFAULT_LIMITS.camera_value_bytes
