"""Libraries that could ask somebody for models, or tell somebody about us, are told not to."""

import os

OFFLINE = {
    # Hugging Face: no model, file or code is fetched, and nothing is reported.
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
}
"""Variables that those libraries read when they are imported; worker processes inherit them."""


def stay_offline() -> None:
    """Set them, whatever the environment says: a worker's data are nobody else's."""
    os.environ.update(OFFLINE)
