"""Settings of the live page."""

from typing import Annotated

import msgspec


class PageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether there is a page, and for how many."""

    enabled: bool = True
    """Serve it at ``/``; its data want a token as all others do."""
    max_viewers: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 50
    """Browsers that may look at the same time; one more is told to come back later."""
    linger_ms: Annotated[float, msgspec.Meta(gt=0, le=3_600_000)] = 60_000.0
    """How long topics are read on after the last one has left, so that a reload finds all there."""
    groups: tuple[str, ...] = ()
    """Consumer groups in the table of lag; unset for those that read topics named like ours."""
