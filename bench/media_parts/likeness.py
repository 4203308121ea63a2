"""How alike two pictures are: SSIM of their brightness over blocks of eight, so that nobody wins a race by blurring."""

from __future__ import annotations

import io

from PIL import Image, ImageMath

_BLOCK = 8
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def structural_similarity(one: Image.Image, other: Image.Image) -> float:
    """1 for the same picture; under 0.9 for one that looks different."""
    x, y = (image.convert("L").convert("F") for image in (one, other))

    def mean(image: Image.Image) -> Image.Image:
        size = max(1, image.width // _BLOCK), max(1, image.height // _BLOCK)
        return image.resize(size, Image.Resampling.BOX)

    mean_x, mean_y = mean(x), mean(y)
    square_x, square_y, product = (
        mean(ImageMath.lambda_eval(lambda args: args["a"] * args["b"], a=a, b=b)) for a, b in ((x, x), (y, y), (x, y))
    )
    found = ImageMath.lambda_eval(
        lambda a: (
            (2 * a["mx"] * a["my"] + _C1)
            * (2 * (a["xy"] - a["mx"] * a["my"]) + _C2)
            / (
                (a["mx"] * a["mx"] + a["my"] * a["my"] + _C1)
                * (a["xx"] - a["mx"] * a["mx"] + a["yy"] - a["my"] * a["my"] + _C2)
            )
        ),
        mx=mean_x, my=mean_y, xx=square_x, yy=square_y, xy=product,
    )  # fmt: skip
    values = found.get_flattened_data()
    return float(sum(values) / len(values))


def likeness(source: bytes, output: bytes) -> float:
    """An output beside the best that its size allows: the whole source, resized by Lanczos."""
    with Image.open(io.BytesIO(source)) as whole, Image.open(io.BytesIO(output)) as made:
        made.load()
        ideal = whole.convert("RGB").resize(made.size, Image.Resampling.LANCZOS)
        return structural_similarity(ideal, made.convert("RGB"))
