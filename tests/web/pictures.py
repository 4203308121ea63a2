"""Files for tests of the page: pictures, still and moving, and what only claims to be one."""

from __future__ import annotations

import io

from PIL import Image


def picture(width: int = 900, height: int = 600, *, kind: str = "JPEG", colour: int = 0) -> bytes:
    """One with something to see at every size; `colour` makes it another file."""
    image = Image.linear_gradient("L").resize((width, height)).convert("RGB")
    image.paste((colour % 256, 120, 200), (0, 0, width // 3, height // 3))
    stored = io.BytesIO()
    image.save(stored, kind, quality=85)
    return stored.getvalue()


def animation() -> bytes:
    frames = [Image.new("RGB", (240, 160), (60 * number, 80, 120)) for number in range(4)]
    stored = io.BytesIO()
    frames[0].save(stored, "GIF", save_all=True, append_images=frames[1:], duration=120, loop=0)
    return stored.getvalue()
