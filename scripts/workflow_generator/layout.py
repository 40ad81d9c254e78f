"""Places nodes, frames and links for the editor: frames from the left, each of columns, columns of nodes.

Everything flows to the right. Nodes keep clear of the gutter between two columns and of the lanes above all of them. A
link to the next column crosses the gutter between them; every other link rises in its source's gutter, runs to the
right in a lane and comes down in its target's gutter. The links of one output share a lane, and a lane has room for
several outputs one behind the other. So no link runs through a node, and none runs backwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

TITLE_BAR = 30
"""Height of the title that the editor draws above a node."""

BETWEEN_NODES = 28
FRAME_MARGIN = 20
OVERVIEW_TITLE, LEAST_FRAME_FONT, MOST_FRAME_FONT = 12, 30, 48
"""Size of a frame's title where a laptop's screen shows the whole graph, and its bounds in the graph: larger titles
would be wider than their frames in some languages; pixels."""

OVERVIEW_WIDTH = 960
"""How wide the editor shows a whole graph on a laptop's screen of 1280 x 720, pixels."""

UNDER_TITLE = 1.5
"""Height of a frame's title bar, as a multiple of the title's size."""

LANE = 16
AROUND_LANES = 18
LEAST_GUTTER = 64
IN_GUTTER = 20
"""Least distance between a turning point and the nodes beside it."""

BETWEEN_TURNS = 9

HIGH_RISE, UNDER_EDGE = 400, 14
"""Pixels. The editor bends a link the more, the longer it is: one that rises further would swing to the node beside it.
So it turns in the gutter first, about as far under the upper edge of its node as its output is."""

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
    """Where everything is drawn. The upper edge of all frames is at 0.

    Attributes:
        boxes: the nodes by key, without their title bars.
        font: size of the frames' titles.
        points: where links turn; each comes after its parent.
        last_points: for each cable that turns, by its number, the number of the last point before its input.
    """

    boxes: Mapping[str, Box]
    font: int
    points: Sequence[Point]
    last_points: Mapping[int, int]

    def frame(self, columns: Columns) -> Box:
        """The frame around columns."""
        boxes = [self.boxes[key] for column in columns for key in column]
        left = min(box.x for box in boxes) - FRAME_MARGIN
        right, bottom = max(box.right for box in boxes), max(box.bottom for box in boxes)
        return Box(left, 0, right + FRAME_MARGIN - left, bottom + FRAME_MARGIN)


@dataclass(frozen=True)
class _Lane:
    """The links of one output that cannot go straight to their targets.

    Attributes:
        source: key of the node.
        start: number of the gutter in which they rise. A gutter has the number of the column to its right.
        cables: their numbers, by the gutters in which they come down, from the left.
    """

    source: str
    start: int
    cables: Mapping[int, Sequence[int]]

    @property
    def end(self) -> int:
        """Number of the gutter in which the last one comes down."""
        return max(self.cables)


def lay_out(frames: Sequence[Columns], sizes: Mapping[str, Size], cables: Sequence[Cable]) -> Layout:
    """Place everything.

    Args:
        frames: from the left. Every key occurs once.
        sizes: the nodes' sizes by key. All nodes of a column get the width of the widest.
        cables: all links. Each leads to a column further to the right.

    Raises:
        ValueError: a link would run backwards.
    """
    columns = [column for frame in frames for column in frame]
    place = {key: number for number, column in enumerate(columns) for key in column}
    backwards = [cable for cable in cables if place[cable.target] <= place[cable.source]]
    if backwards:
        raise ValueError(f"these links do not lead to a column further to the right: {backwards}")
    lanes = _lanes(cables, place)
    tracks = _tracks(lanes)
    turns = _turns(lanes, tracks)

    widths = [max(sizes[key].width for key in column) for column in columns]
    gaps = [0] + [
        max(LEAST_GUTTER, 2 * IN_GUTTER + BETWEEN_TURNS * (len(turns.get(number, ())) - 1))
        for number in range(1, len(columns))
    ]
    gutters = [sum(widths[:number]) + sum(gaps[:number]) for number in range(len(columns))]
    overview = round(OVERVIEW_TITLE * (sum(widths) + sum(gaps)) / OVERVIEW_WIDTH)
    font = min(max(LEAST_FRAME_FONT, overview), MOST_FRAME_FONT)
    first_lane = round(UNDER_TITLE * font) + AROUND_LANES
    count = 1 + max(tracks, default=-1)
    top = first_lane + (AROUND_LANES + LANE * (count - 1) if count else 0) + TITLE_BAR
    boxes: dict[str, Box] = {}
    for column, gutter, gap, width in zip(columns, gutters, gaps, widths, strict=True):
        y = top
        for key in column:
            boxes[key] = Box(gutter + gap, y, width, sizes[key].height)
            y = boxes[key].bottom + BETWEEN_NODES + TITLE_BAR

    points: list[Point] = []
    last_points: dict[int, int] = {}
    for number, (lane, track) in enumerate(zip(lanes, tracks, strict=True)):
        y = first_lane + LANE * track
        parent = None
        left = [cable for gutter in sorted(lane.cables) for cable in lane.cables[gutter]]
        for gutter in (lane.start, *sorted(lane.cables)):
            rises = gutter == lane.start
            x = gutters[gutter] + IN_GUTTER + BETWEEN_TURNS * turns[gutter].index((number, rises))
            output = boxes[lane.source].y + UNDER_EDGE
            if rises and output - y > HIGH_RISE:
                points.append(Point(x, output, None, sorted(left)))
                parent = len(points) - 1
            points.append(Point(x, y, parent, sorted(left)))
            parent = len(points) - 1
            for cable in lane.cables.get(gutter, ()):
                last_points[cable] = parent
                left.remove(cable)
    return Layout(boxes, font, points, last_points)


def _lanes(cables: Sequence[Cable], place: Mapping[str, int]) -> list[_Lane]:
    """One for every output that has a link over a column."""
    over: dict[tuple[str, str], dict[int, list[int]]] = {}
    for number, cable in enumerate(cables):
        if place[cable.target] > place[cable.source] + 1:
            over.setdefault((cable.source, cable.output), {}).setdefault(place[cable.target], []).append(number)
    return [_Lane(source, place[source] + 1, gutters) for (source, _), gutters in over.items()]


def _tracks(lanes: Sequence[_Lane]) -> list[int]:
    """For every lane its place from the top: the longest highest, those that do not meet at one height."""
    taken: list[list[tuple[int, int]]] = []
    tracks = [0] * len(lanes)
    for number in sorted(range(len(lanes)), key=lambda number: lanes[number].start - lanes[number].end):
        lane = lanes[number]
        track = next(
            (
                track
                for track, spans in enumerate(taken)
                if all(lane.end < start or end < lane.start for start, end in spans)
            ),
            len(taken),
        )
        if track == len(taken):
            taken.append([])
        taken[track].append((lane.start, lane.end))
        tracks[number] = track
    return tracks


def _turns(lanes: Sequence[_Lane], tracks: Sequence[int]) -> dict[int, list[tuple[int, bool]]]:
    """For every gutter the lanes that turn in it, from the left, and whether they rise.

    Those that rise are to the left of those that come down. The higher of two that rise is to the left of the other,
    and of two that come down to the right, so that they do not cross.
    """
    turns: dict[int, list[tuple[int, bool]]] = {}
    for number, lane in enumerate(lanes):
        turns.setdefault(lane.start, []).append((number, True))
        for gutter in lane.cables:
            turns.setdefault(gutter, []).append((number, False))
    for found in turns.values():
        found.sort(key=lambda turn: (not turn[1], tracks[turn[0]] if turn[1] else -tracks[turn[0]]))
    return turns
