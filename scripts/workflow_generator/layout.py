"""Places nodes, frames and links for the editor: rows of frames, frames of columns, columns of nodes.

Nodes keep clear of the gutter between two columns and of the lanes above each row. A link to the next column crosses
the gutter between them; every other link runs through its source's gutter, a lane and its target's gutter, and the
links of one output share a lane. So no link runs through a node.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

GUTTER = 110
TITLE_BAR = 30
"""Height of the title that the editor draws above a node."""

BETWEEN_NODES = 28
FRAME_MARGIN = 25
FRAME_TITLE = 44
LANE = 24
AROUND_LANES = 20
BETWEEN_ROWS = 50
IN_GUTTER = 18
"""Least distance between a turning point and the nodes beside it."""

Columns = Sequence[Sequence[str]]
"""Keys of nodes from the top, columns from the left."""


class Size(NamedTuple):
    """A size in pixels."""

    width: int
    height: int


class Cable(NamedTuple):
    """A link from an output to an input, by their names."""

    source: str
    output: str
    target: str
    input: str


@dataclass(frozen=True)
class Box:
    """A rectangle in the editor's pixels; y points down."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """The first x to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first y below it."""
        return self.y + self.height

    def bounding(self) -> list[int]:
        """The rectangle as the editor writes it."""
        return [self.x, self.y, self.width, self.height]


@dataclass
class Point:
    """A point where links turn.

    Attributes:
        x: pixels.
        y: pixels.
        parent: number of the point before it, None if that is an output.
        cables: numbers of the cables that lead through it.
    """

    x: int
    y: int
    parent: int | None
    cables: list[int]


@dataclass(frozen=True)
class Layout:
    """Where everything is drawn.

    Attributes:
        boxes: the nodes by key, without their title bars.
        tops: for each node the top of its frame.
        points: where links turn; each comes after its parent.
        last_points: for each cable that turns, by its number, the number of the last point before its input.
    """

    boxes: Mapping[str, Box]
    tops: Mapping[str, int]
    points: Sequence[Point]
    last_points: Mapping[int, int]

    def frame(self, columns: Columns) -> Box:
        """The frame around columns of one row."""
        inside = [key for column in columns for key in column]
        boxes = [self.boxes[key] for key in inside]
        left, top = min(box.x for box in boxes) - FRAME_MARGIN, self.tops[inside[0]]
        right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
        return Box(left, top, right + FRAME_MARGIN - left, bottom + FRAME_MARGIN - top)


class _Place(NamedTuple):
    """Row and column, both from 0."""

    row: int
    column: int


class _Lane(NamedTuple):
    """A lane, which all links from one output into one row share."""

    row: int
    source: str
    output: str


def lay_out(rows: Sequence[Sequence[Columns]], sizes: Mapping[str, Size], cables: Sequence[Cable]) -> Layout:
    """Place everything in rows.

    Args:
        rows: from the top, each with its frames from the left. Every key occurs once.
        sizes: the nodes' sizes by key. All nodes of a column get the width of the widest.
        cables: all links. Each leads to another column of its row, or to the next row.
    """
    flat = [[column for frame in row for column in frame] for row in rows]
    places = {
        key: _Place(row, number)
        for row, columns in enumerate(flat)
        for number, column in enumerate(columns)
        for key in column
    }
    lanes: dict[_Lane, list[int]] = {}
    for number, cable in enumerate(cables):
        source, target = places[cable.source], places[cable.target]
        if (target.row, target.column) != (source.row, source.column + 1):
            lanes.setdefault(_Lane(target.row, cable.source, cable.output), []).append(number)

    boxes: dict[str, Box] = {}
    tops: dict[str, int] = {}
    heights: dict[_Lane, int] = {}
    gutters: dict[_Place, tuple[int, int]] = {}
    top = 0
    for row, columns in enumerate(flat):
        own = [lane for lane in lanes if lane.row == row]
        first = top + FRAME_TITLE + AROUND_LANES
        heights.update({lane: first + LANE * number for number, lane in enumerate(own)})
        start = top + FRAME_TITLE + (2 * AROUND_LANES + LANE * (len(own) - 1) if own else 0) + TITLE_BAR
        x = 0
        for number, column in enumerate(columns):
            gutters[_Place(row, number)] = (x - GUTTER, x)
            y, width = start, max(sizes[key].width for key in column)
            for key in column:
                boxes[key] = Box(x, y, width, sizes[key].height)
                tops[key] = top
                y = boxes[key].bottom + BETWEEN_NODES + TITLE_BAR
            x += width + GUTTER
        gutters[_Place(row, len(columns))] = (x - GUTTER, x)
        top = max(boxes[key].bottom for column in columns for key in column) + FRAME_MARGIN + BETWEEN_ROWS
    points, last_points = _turn(lanes, heights, gutters, places, cables)
    return Layout(boxes, tops, points, last_points)


def _turn(
    lanes: Mapping[_Lane, Sequence[int]],
    heights: Mapping[_Lane, int],
    gutters: Mapping[_Place, tuple[int, int]],
    places: Mapping[str, _Place],
    cables: Sequence[Cable],
) -> tuple[list[Point], dict[int, int]]:
    """The points of all lanes, and the last point of every cable in a lane."""
    upright: dict[_Place, list[_Lane]] = {}
    for lane, numbers in lanes.items():
        for gutter in dict.fromkeys([_behind(places[lane.source]), *(places[cables[n].target] for n in numbers)]):
            upright.setdefault(gutter, []).append(lane)

    def x_of(gutter: _Place, lane: _Lane) -> int:
        left, right = gutters[gutter]
        inside = upright[gutter]
        step = (right - left - 2 * IN_GUTTER) / (len(inside) + 1)
        return round(left + IN_GUTTER + step * (1 + inside.index(lane)))

    points: list[Point] = []
    last_points: dict[int, int] = {}
    for lane, numbers in lanes.items():
        by_x: dict[int, list[int]] = {}
        for number in numbers:
            by_x.setdefault(x_of(places[cables[number].target], lane), []).append(number)
        root = len(points)
        start = x_of(_behind(places[lane.source]), lane)
        points.append(Point(start, heights[lane], None, list(numbers)))
        last_points.update(dict.fromkeys(by_x.pop(start, []), root))
        for side in _sides(by_x, start):
            parent = root
            for number, x in enumerate(side):
                beyond = [cable for further in side[number:] for cable in by_x[further]]
                points.append(Point(x, heights[lane], parent, sorted(beyond)))
                parent = len(points) - 1
                last_points.update(dict.fromkeys(by_x[x], parent))
    return points, last_points


def _behind(place: _Place) -> _Place:
    """The gutter to the right of a column. A gutter is named by the column to its right."""
    return _Place(place.row, place.column + 1)


def _sides(targets: Mapping[int, Sequence[int]], start: int) -> Iterator[list[int]]:
    """The x of a lane's targets, from near to far: first those to the right of its start, then those to the left."""
    yield sorted(x for x in targets if x > start)
    yield sorted((x for x in targets if x < start), reverse=True)
