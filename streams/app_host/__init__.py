"""Where an app runs: topics and rights, health and metrics, and an end when nothing moves."""

from streams.app_host.process import run_app

__all__ = ["run_app"]
