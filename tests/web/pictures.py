"""Files for tests of the page: pictures, still and moving, and what only claims to be one."""

from __future__ import annotations

import io
import math
import random

from PIL import Image, ImageDraw


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


def landscape(number: int) -> bytes:
    """Hills under a sky, another one for each number."""
    draw = random.Random(number)
    width, height = 900, 640
    sky = Image.linear_gradient("L").resize((width, height))
    cold = (draw.randrange(20, 80), draw.randrange(60, 120), draw.randrange(120, 200))
    warm = (250, draw.randrange(150, 210), 120)
    image = Image.composite(Image.new("RGB", (width, height), warm), Image.new("RGB", (width, height), cold), sky)
    pen = ImageDraw.Draw(image)
    centre = draw.randrange(150, 750)
    pen.ellipse([centre - 60, 150, centre + 60, 270], fill=(255, 236, 190))
    for layer in range(4):
        base, shade = 330 + layer * 75, 90 - layer * 20
        bends = [draw.uniform(0, 6.3) for _ in range(3)]
        ridge = [(x, base + sum(30 / (n + 1) * math.sin(x / (140 / (n + 1)) + bend) for n, bend in enumerate(bends)))
                 for x in range(0, width + 10, 10)]  # fmt: skip
        pen.polygon([(0, height), *ridge, (width, height)], fill=(shade // 2, shade, shade + 20))
    stored = io.BytesIO()
    image.save(stored, "JPEG", quality=88)
    return stored.getvalue()
