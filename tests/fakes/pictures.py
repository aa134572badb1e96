"""Images as cameras would send them."""

import io

from PIL import Image


def jpeg() -> bytes:
    """Make a small JPEG."""
    written = io.BytesIO()
    Image.new("RGB", (8, 8), "grey").save(written, "JPEG")
    return written.getvalue()
