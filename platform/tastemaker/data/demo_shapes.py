"""Outlines of the demo catalogue: what each category can look like, drawn white on black."""

import math
from collections.abc import Callable

from PIL import ImageDraw

Box = tuple[float, float, float, float]
Shape = Callable[[ImageDraw.ImageDraw, Box], None]


def _parts(*parts: tuple[str, float, float, float, float]) -> Shape:
    """A shape from rectangles (r), rounded ones (o) and ellipses (e) in a unit box."""

    def draw(pen: ImageDraw.ImageDraw, box: Box) -> None:
        left, top, right, bottom = box
        w, h = right - left, bottom - top
        for kind, x0, y0, x1, y1 in parts:
            at = (left + x0 * w, top + y0 * h, left + x1 * w, top + y1 * h)
            if kind == "e":
                pen.ellipse(at, fill=255)
            elif kind == "o":
                pen.rounded_rectangle(at, radius=w * 0.08, fill=255)
            else:
                pen.rectangle(at, fill=255)

    return draw


def _polygon(*points: tuple[float, float]) -> Shape:
    def draw(pen: ImageDraw.ImageDraw, box: Box) -> None:
        left, top, right, bottom = box
        w, h = right - left, bottom - top
        pen.polygon([(left + x * w, top + y * h) for x, y in points], fill=255)

    return draw


def _both(*shapes: Shape) -> Shape:
    def draw(pen: ImageDraw.ImageDraw, box: Box) -> None:
        for shape in shapes:
            shape(pen, box)

    return draw


def _frame(kind: str) -> Shape:
    def draw(pen: ImageDraw.ImageDraw, box: Box) -> None:
        left, top, right, bottom = box
        inset = (right - left) * 0.16
        inner = (left + inset, top + inset, right - inset, bottom - inset)
        outline = pen.ellipse if kind == "round" else pen.rectangle
        outline(box, fill=255)
        outline(inner, fill=90)

    return draw


def _clock(kind: str) -> Shape:
    def draw(pen: ImageDraw.ImageDraw, box: Box) -> None:
        if kind == "round":
            pen.ellipse(box, fill=255)
        else:
            pen.rounded_rectangle(box, radius=(box[2] - box[0]) * 0.06, fill=255)
        cx, cy, r = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, (box[2] - box[0]) / 2
        for hour in range(12):
            angle = hour * math.pi / 6
            x, y = cx + 0.82 * r * math.cos(angle), cy + 0.82 * r * math.sin(angle)
            pen.ellipse((x - r / 14, y - r / 14, x + r / 14, y + r / 14), fill=0)
        pen.line((cx, cy, cx, cy - 0.6 * r), fill=0, width=max(2, int(r / 12)))
        pen.line((cx, cy, cx + 0.4 * r, cy + 0.1 * r), fill=0, width=max(2, int(r / 12)))

    return draw


_LEAVES = _parts(
    ("e", 0.42, 0.0, 0.58, 0.45), ("e", 0.2, 0.14, 0.42, 0.46), ("e", 0.58, 0.14, 0.8, 0.46)
)
_ROD = _parts(("r", 0, 0.02, 1, 0.07))
_LAMP_FOOT = _parts(("r", 0.47, 0.4, 0.53, 0.9), ("e", 0.3, 0.86, 0.7, 0.97))
_SOFA_LEGS = (("r", 0.1, 0.8, 0.15, 0.95), ("r", 0.85, 0.8, 0.9, 0.95))
_CHAIR_LEGS = (("r", 0.22, 0.82, 0.27, 0.97), ("r", 0.73, 0.82, 0.78, 0.97))

# category: shape: outline
SHAPES: dict[str, dict[str, Shape]] = {
    "sofa": {
        "low": _parts(
            ("o", 0, 0.3, 1, 0.62),
            ("o", 0, 0.45, 0.16, 0.85),
            ("o", 0.84, 0.45, 1, 0.85),
            ("o", 0.05, 0.58, 0.95, 0.84),
            *_SOFA_LEGS,
        ),
        "curved": _parts(
            ("e", 0.02, 0.15, 0.98, 0.85),
            ("e", 0, 0.45, 0.24, 0.86),
            ("e", 0.76, 0.45, 1, 0.86),
            ("o", 0.05, 0.6, 0.95, 0.84),
            *_SOFA_LEGS,
        ),
    },
    "armchair": {
        "square": _parts(
            ("o", 0.2, 0.15, 0.8, 0.65),
            ("o", 0.12, 0.45, 0.28, 0.85),
            ("o", 0.72, 0.45, 0.88, 0.85),
            ("o", 0.2, 0.6, 0.8, 0.84),
            *_CHAIR_LEGS,
        ),
        "curved": _parts(("e", 0.14, 0.1, 0.86, 0.86), ("o", 0.14, 0.58, 0.86, 0.84), *_CHAIR_LEGS),
    },
    "table": {
        "rectangular": _parts(
            ("r", 0, 0.4, 1, 0.5), ("r", 0.06, 0.5, 0.13, 0.95), ("r", 0.87, 0.5, 0.94, 0.95)
        ),
        "round": _parts(
            ("e", 0, 0.34, 1, 0.54), ("r", 0.45, 0.5, 0.55, 0.9), ("e", 0.25, 0.85, 0.75, 0.97)
        ),
    },
    "stool": {
        "round": _parts(
            ("e", 0.25, 0.25, 0.75, 0.42),
            ("r", 0.3, 0.36, 0.36, 0.95),
            ("r", 0.64, 0.36, 0.7, 0.95),
            ("r", 0.33, 0.68, 0.67, 0.73),
        ),
        "square": _parts(
            ("r", 0.2, 0.4, 0.8, 0.55), ("r", 0.2, 0.5, 0.3, 0.95), ("r", 0.7, 0.5, 0.8, 0.95)
        ),
    },
    "lamp": {
        "cone": _both(_polygon((0.3, 0.05), (0.7, 0.05), (0.85, 0.4), (0.15, 0.4)), _LAMP_FOOT),
        "globe": _both(_parts(("e", 0.27, 0.0, 0.73, 0.46)), _LAMP_FOOT),
    },
    "rug": {
        "rectangular": _polygon((0.15, 0.55), (0.85, 0.55), (1, 0.98), (0, 0.98)),
        "round": _parts(("e", 0, 0.52, 1, 0.98)),
    },
    "vase": {
        "round": _parts(("r", 0.42, 0.08, 0.58, 0.4), ("e", 0.25, 0.3, 0.75, 0.95)),
        "slender": _polygon((0.38, 0.05), (0.62, 0.05), (0.7, 0.95), (0.3, 0.95)),
    },
    "mirror": {"round": _frame("round"), "square": _frame("square")},
    "shelf": {
        "tall": _parts(
            ("r", 0.25, 0, 0.31, 0.97),
            ("r", 0.69, 0, 0.75, 0.97),
            *(("r", 0.25, y, 0.75, y + 0.06) for y in (0.0, 0.22, 0.45, 0.68, 0.91)),
        ),
        "wide": _parts(
            ("r", 0, 0.2, 0.06, 0.97),
            ("r", 0.94, 0.2, 1, 0.97),
            *(("r", 0.0, y, 1.0, y + 0.07) for y in (0.2, 0.55, 0.9)),
        ),
    },
    "cushion": {
        "square": _parts(("o", 0.15, 0.2, 0.85, 0.88)),
        "round": _parts(("e", 0.12, 0.2, 0.88, 0.92)),
    },
    "planter": {
        "tapered": _both(_polygon((0.2, 0.45), (0.8, 0.45), (0.68, 0.97), (0.32, 0.97)), _LEAVES),
        "round": _both(_parts(("e", 0.2, 0.4, 0.8, 0.98)), _LEAVES),
    },
    "clock": {"round": _clock("round"), "square": _clock("square")},
    "curtain": {
        "draped": _both(
            _polygon((0.05, 0.05), (0.42, 0.05), (0.25, 0.97), (0.05, 0.97)),
            _polygon((0.95, 0.05), (0.58, 0.05), (0.75, 0.97), (0.95, 0.97)),
            _ROD,
        ),
        "straight": _both(_parts(("r", 0.05, 0.05, 0.4, 0.97), ("r", 0.6, 0.05, 0.95, 0.97)), _ROD),
    },
    "bed": {
        "low": _parts(
            ("o", 0, 0.25, 0.12, 0.95),
            ("o", 0.05, 0.6, 1, 0.82),
            ("o", 0.14, 0.48, 0.36, 0.62),
            ("r", 0.92, 0.8, 0.97, 0.95),
        ),
        "canopy": _parts(
            ("r", 0, 0, 0.06, 0.95),
            ("r", 0.94, 0, 1, 0.95),
            ("r", 0, 0, 1, 0.06),
            ("o", 0.03, 0.6, 0.97, 0.82),
            ("o", 0.1, 0.48, 0.34, 0.62),
        ),
    },
}
