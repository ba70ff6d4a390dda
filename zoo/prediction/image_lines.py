"""Lines of Python that prepare an image with OpenCV, Pillow and NumPy, as the zoo prepares it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from converters import ImagePreparation

# OpenCV turns photographs as their EXIF says, which the tools behind the numbers did not do.
IMREAD = "cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION"
SIZE = "height, width = image.shape[:2]"
# Torch7's resize, which no library of today has.
TORCH7_SCALE = '''\
def scale(rows, size):
    """Torch7's image.scale with "bicubic", along the first axis."""
    if len(rows) == size:
        return rows
    ratio = np.float32(len(rows) - 1) / np.float32(max(size - 1, 1))
    place = np.arange(size - 1).astype(np.float32) * ratio
    k = place.astype(np.int64)
    x = (place - k.astype(np.float32))[:, None, None]
    taps = np.concatenate([2 * rows[:1] - rows[1:2], rows, 2 * rows[-1:] - rows[-2:-1]])
    a, b, c, d = (taps[k + tap] for tap in range(4))
    curve, cubic = 2 * a - 5 * b + 4 * c - d, 3 * (b - c) + d - a
    between = b + 0.5 * x.astype(np.float64) * (c - a + x * (curve + x * cubic))
    return np.concatenate([between.astype(np.float32), rows[-1:]])'''


def read(given: ImagePreparation, image: Path) -> Iterator[str]:
    """The decoded pixels in `image`, BGR or, of Pillow, RGB."""
    name = quoted(image)
    if given.resize == "pillow-bicubic":
        yield f'image = np.asarray(Image.open({name}).convert("RGB"))'
    else:
        yield f"flags = {IMREAD}"
        yield f"image = cv2.imread({name}, flags)"


def whole_image(given: ImagePreparation, order: str) -> Iterator[str]:
    """A batch of the whole image, for a net that prepares it."""
    read_as = "RGB" if given.resize == "pillow-bicubic" else "BGR"
    yield f"batch = image[None{'' if read_as == order else ', :, :, ::-1'}]"


def window(given: ImagePreparation, *, sizes: bool) -> Iterator[str]:
    """Resize, and cut the window. sizes: height and width of the image are needed later."""
    if sizes or given.to == "shorter side":
        yield SIZE
    yield from _resized(given)
    for side in (*([given.size] if given.square and given.size else []), given.crop):
        if given.to == "square" and given.size == side:
            continue
        if given.to == "square" and given.size:
            begin = str((given.size - side) // 2)
            begins = begin, begin
        else:
            begins = _begin(given, f"image.shape[0] - {side}"), _begin(given, f"image.shape[1] - {side}")
        yield f"top, left = {begins[0]}, {begins[1]}"
        yield f"image = image[top : top + {side}, left : left + {side}]"


def _resized(given: ImagePreparation) -> Iterator[str]:
    size = given.size
    if given.to == "square":
        yield f"image = cv2.resize(image, ({size}, {size}))"
    elif given.resize == "opencv-linear":
        yield "shorter = min(height, width)"
        yield f"to = {size} * width // shorter, {size} * height // shorter"
        yield "image = cv2.resize(image, to)"
    elif given.resize == "pillow-bicubic":
        yield "shorter = min(height, width)"
        yield f"to = int({size} * width / shorter), int({size} * height / shorter)"
        yield "image = np.asarray(Image.fromarray(image).resize(to, Image.Resampling.BICUBIC))"
    elif given.resize == "torch7-bicubic":
        yield f"to = {size}, int(width / height * {size})"
        yield "if width < height:"
        yield f"    to = int(height / width * {size}), {size}"
        yield f"if min(height, width) == {size}:"
        yield "    to = height, width"
        yield "image = image.astype(np.float32) * np.float32(1 / 255)"
        yield "image = scale(image.transpose(1, 0, 2), to[1]).transpose(1, 0, 2)"
        yield "image = scale(image, to[0])"


def _begin(given: ImagePreparation, surplus: str) -> str:
    """Where each tool begins the centre window."""
    if given.resize == "pillow-bicubic":
        return f"round(({surplus}) / 2)"
    return f"-(-({surplus}) // 2)" if given.resize == "torch7-bicubic" else f"({surplus}) // 2"


def batch(given: ImagePreparation, mean_image: Path | None) -> Iterator[str]:
    """From the window in `image` to the input of the net in `batch`, in the zoo's order of operations."""
    if reverses_channels(given):
        yield f"image = image[:, :, ::-1]  # {given.channels}"
    yield "batch = image.transpose(2, 0, 1)[None].astype(np.float32)"
    if given.pixel_white != given.white:
        yield "batch /= 255" if given.pixel_white > given.white else "batch *= 255"
    yield from _minus_mean_image(given, mean_image, "batch")
    if given.mean is not None:
        yield f"batch -= {_per_channel(given.mean)}"
    if given.scale != 1:
        yield f"batch *= np.float32({given.scale!r})"
    if given.std is not None:
        yield f"batch /= {_per_channel(given.std)}"


def blob(given: ImagePreparation, mean_image: Path | None) -> Iterator[str]:
    """From pixels to the input of the net in `blob`; of another size they are resized, to a square."""
    factor, mean, swap = blob_arguments(given, without=mean_image is not None)
    size = given.crop
    yield "blob = cv2.dnn.blobFromImage("
    yield f"    image, {factor!r}, ({size}, {size}), {mean!r}, swapRB={swap}, crop=False"
    yield ")"
    if mean_image is not None:
        yield from _minus_mean_image(given, mean_image, "blob")
        yield from [] if given.scale == 1 else [f"blob *= np.float32({given.scale!r})"]
    if given.std is not None:
        yield f"blob /= {_per_channel(given.std)}"


def blob_arguments(
    given: ImagePreparation, *, without: bool = False
) -> tuple[float, tuple[float, ...], bool]:
    """scalefactor, mean and swapRB of blobFromImage, which computes (x - mean) * scalefactor.

    without: mean and scale are left to lines of their own.
    """
    factor = given.pixel_white / given.white
    mean = tuple(float(value * factor) for value in given.mean or (0.0,))
    scale = 1.0 if without else given.scale
    return scale / factor, mean * 3 if len(mean) == 1 else mean, reverses_channels(given)


def is_direct(given: ImagePreparation) -> bool:
    """Whether blobFromImage itself resizes as the preparation does."""
    return given.resize == "opencv-linear" and given.to == "square" and given.size == given.crop


def reverses_channels(given: ImagePreparation) -> bool:
    """Whether the net takes the channels in another order than `read` gives."""
    return given.channels != ("RGB" if given.resize == "pillow-bicubic" else "BGR")


def quoted(path: Path | str) -> str:
    """A path as a Python string in double quotes."""
    text = str(path).encode("utf-8", "backslashreplace").decode()
    return repr(text) if '"' in text or "\\" in text or not text.isprintable() else f'"{text}"'


def _minus_mean_image(given: ImagePreparation, mean_image: Path | None, name: str) -> Iterator[str]:
    if mean_image is None:
        return
    crop = given.crop
    if mean_image.suffix == ".npy":
        yield f"mean = np.load({quoted(mean_image)}).astype(np.float32)"
    else:
        yield f"mean = read_mean_image(Path({quoted(mean_image)}), None)"
    yield f"top, left = (mean.shape[1] - {crop}) // 2, (mean.shape[2] - {crop}) // 2"
    yield f"{name} -= mean[:, top : top + {crop}, left : left + {crop}]"


def _per_channel(values: Sequence[float]) -> str:
    return f"np.float32({[float(value) for value in values]!r}).reshape(1, -1, 1, 1)"
