"""The apps that ship, by the name that ``headrace app NAME`` starts them by."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from streams.apps.alerts import defects, turns
from streams.apps.forgetting import forgetting
from streams.apps.fusion import fusion
from streams.apps.keyed import KeyedApp
from streams.apps.sessions import sessions
from streams.apps.settings import AppsSettings
from streams.apps.signals import signals

Factory = Callable[[AppsSettings], KeyedApp]


def _signals(settings: AppsSettings) -> KeyedApp:
    own = settings.signals
    app = replace(signals(own.sentiment), inputs=own.inputs, output=own.output)
    return forgetting(app, settings.forget_s)


def _alerts(settings: AppsSettings) -> KeyedApp:
    own = settings.alerts
    app = defects(frozenset(own.labels), own.rates)
    return forgetting(replace(app, inputs=own.inputs, output=own.output), settings.forget_s)


def _conversations(settings: AppsSettings) -> KeyedApp:
    own = settings.conversations
    app = turns(
        frozenset(own.labels),
        own.rates,
        min_confidence=own.min_confidence,
        speakers=frozenset(own.speakers),
    )
    return forgetting(replace(app, inputs=own.inputs, output=own.output), settings.forget_s)


def _sessions(settings: AppsSettings) -> KeyedApp:
    own = settings.sessions
    app = replace(sessions(own.talk), inputs=own.inputs, output=own.output)
    return forgetting(app, settings.forget_s)


def _fusion(settings: AppsSettings) -> KeyedApp:
    own = settings.fusion
    app = fusion(own.fusion, key=own.key, entities=own.table)
    app = replace(app, inputs=own.inputs or app.inputs, output=own.output)
    return forgetting(app, settings.forget_s)


APPS: Mapping[str, Factory] = {
    "alerts": _alerts,
    "conversations": _conversations,
    "fusion": _fusion,
    "sessions": _sessions,
    "signals": _signals,
}
"""Each factory makes its app from its own table of the settings; an app's ``name`` is its key.

Raise ``ConfigurationError`` where a table lacks what the app cannot do without."""
