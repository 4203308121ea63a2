"""Which way up: as a browser shows the original, so are its variants, whatever its tags say of each other."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.browser.page import Browser
from tests.functions.media.pictures import CORNERS, corner_names, corners, decoded, encoded
from tests.functions.media.test_render import derive

SHOWN: Final = """async (pictures) => {
  const corners = [];
  for (const [type, data] of pictures) {
    const image = new Image();
    image.src = `data:${type};base64,${data}`;
    document.body.append(image);
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const at = (x, y) => [...context.getImageData(canvas.width * x, canvas.height * y, 1, 1).data.slice(0, 3)];
    corners.push([[canvas.width, canvas.height], at(0.2, 0.2), at(0.8, 0.2), at(0.8, 0.8), at(0.2, 0.8)]);
    image.remove();
  }
  return corners;
}"""


def xmp(orientation: int) -> bytes:
    """What photo editors write beside EXIF, or in its place."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def tagged(file_format: str, exif: int | None, in_xmp: int | None) -> bytes:
    """The corners, stored as they are, with what EXIF and XMP say of turning them."""
    options: dict[str, Any] = {"quality": 95}
    if exif is not None:
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = exif
    if in_xmp is not None and file_format == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp(in_xmp).decode())
    elif in_xmp is not None:
        options["xmp"] = xmp(in_xmp)
    return encoded(corners(), file_format, **options)


def raw_profile_png(orientation: int) -> bytes:
    """EXIF as older tools kept it in a PNG: hexadecimal text in a chunk of text."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = exif.tobytes()
    info = PngInfo()
    info.add_text("Raw profile type exif", f"\nexif\n{len(content):8}\n{content.hex()}\n", zip=True)
    return encoded(corners(), "PNG", pnginfo=info)


TAGS: Final = [(6, None), (None, 6), (6, 3), (1, 6), (9, 6), (3, 1)]
PICTURES: Final[dict[str, Callable[[], bytes]]] = {
    **{
        f"{name}, EXIF {exif}, XMP {in_xmp}": partial(tagged, name, exif, in_xmp)
        for name in ("JPEG", "PNG", "WEBP", "AVIF")
        for exif, in_xmp in TAGS
    },
    "PNG, EXIF 6 as a raw profile": partial(raw_profile_png, 6),
}


def test_pictures_are_turned_as_a_browser_turns_them(browser: Browser) -> None:
    """EXIF counts in JPEG and PNG, and AVIF's own turn; no tag counts in WebP, and XMP nowhere."""
    originals = {name: make() for name, make in PICTURES.items()}
    asked = [
        [f"image/{re.split('[, ]', name)[0].lower()}", base64.b64encode(data).decode()]
        for name, data in originals.items()
    ]
    shown = browser.open().run(SHOWN, asked)
    wrong = []
    for (name, data), (size, *pixels) in zip(originals.items(), shown, strict=True):
        in_browser = [nearest(pixel) for pixel in pixels]
        _, files = derive(data)
        image = decoded(files["thumb_32.webp"])
        ours = corner_names(image)
        if ours != in_browser or (image.width > image.height) != (size[0] > size[1]):
            wrong.append(f"{name}: the browser shows {in_browser}, ours is {ours}")
    assert not wrong, "\n".join(wrong)


def nearest(pixel: list[int]) -> str:
    return min(CORNERS, key=lambda name: sum((a - b) ** 2 for a, b in zip(CORNERS[name], pixel, strict=True)))
