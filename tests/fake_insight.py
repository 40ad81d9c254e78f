"""A stand-in for InsightFace's model packs whose answers can be worked out by hand.

Its detector sees squares in plain colours, its recogniser averages pixels, its other two models say what they
are told to. They are real ONNX files in the forms that InsightFace loads.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
from numpy.typing import NDArray

from reverse_personalization.geometry.template import ARCFACE_LANDMARKS, ARCFACE_SIDE

COLOURS = {"magenta": (1.0, 0.0, 1.0), "cyan": (0.0, 1.0, 1.0), "yellow": (1.0, 1.0, 0.0)}
"""What the detector takes for a face, at most one of each."""

SMALLEST = 12
LARGEST = 0.8
"""It sees squares from `SMALLEST` pixels to this share of its frame, because real detectors have a size window."""

SUREST = 0.4
"""A square with this share of the frame scores 0.9; others score less by their difference."""

LANDMARKS = ARCFACE_LANDMARKS / ARCFACE_SIDE
"""[5, 2], landmarks of a square as fractions of its side."""


def _row(values: NDArray[np.float64]) -> str:
    return ", ".join(f"{value:.9f}" for value in values)


def detector(size: int | None = None, landmarks: bool = True, upright: bool = False) -> onnx.ModelProto:
    """SCRFD's form: strides 8, 16, 32, two anchors a cell; all finds are in stride 8's first three rows.

    With `upright` a face is seen only if the white in the picture, of which there must be some, lies in the upper left
    quarter of its square and nearer to the top than to the left (see `with_mark`), so neither turned nor mirrored.
    """
    height, width = (size, size) if size else ("height", "width")
    outputs = ["score", "box", "point"] if landmarks else ["score", "box"]
    widths = {"score": 1, "box": 4, "point": 10}
    declared = ", ".join(f"float[n{s}_{o}, {widths[o]}] {o}{s}" for o in outputs for s in (8, 16, 32))
    coarse = "\n".join(
        f"{o}{s} = ConstantOfShape <value = float[1] {{0.0}}> (shape_{o}{s})" for o in outputs for s in (16, 32)
    )
    shapes = "\n".join(
        f"""
        side{s} = Constant <value = int64 {{{s}}}> ()
        rows{s} = Div (height_, side{s})
        columns{s} = Div (width_, side{s})
        cells{s} = Mul (rows{s}, columns{s})
        anchors_scalar{s} = Mul (cells{s}, two)
        anchors{s} = Reshape (anchors_scalar{s}, vector)
        """
        + "\n".join(
            f"""
            values_{o}{s} = Constant <value = int64[1] {{{widths[o]}}}> ()
            shape_{o}{s} = Concat <axis = 0> (anchors{s}, values_{o}{s})
            """
            for o in outputs
        )
        for s in (8, 16, 32)
    )
    mark = """
        rg_b = And (rg, b)
        white_x = Where (rg_b, xs, near)
        white_y = Where (rg_b, ys, near)
        white_right = ReduceMax <keepdims = 0> (white_x)
        white_bottom = ReduceMax <keepdims = 0> (white_y)
        half = Constant <value = float {0.5}> ()
        half_w = Mul (w, half)
        half_h = Mul (h, half)
        middle_x = Add (x0, half_w)
        middle_y = Add (y0, half_h)
        right_of_left = Greater (white_right, x0)
        left_of_middle = Less (white_right, middle_x)
        below_top = Greater (white_bottom, y0)
        above_middle = Less (white_bottom, middle_y)
        across_fits = And (right_of_left, left_of_middle)
        down_fits = And (below_top, above_middle)
        in_quarter = And (across_fits, down_fits)
        from_left = Sub (white_right, x0)
        from_top = Sub (white_bottom, y0)
        nearer_to_top = Less (from_top, from_left)
        placed = And (in_quarter, nearer_to_top)
        seen = And (sized, placed)
    """
    if not upright:
        mark = "seen = Identity (sized)"
    padded = "\n".join(f"{o}8 = Pad ({o}s, pads)" for o in outputs)
    text = f"""
    <ir_version: 8, opset_import: ["": 17]>
    scrfd (float[1, 3, {height}, {width}] picture) => ({declared}) {{
        zero = Constant <value = float {{0.0}}> ()
        first = Constant <value = int64 {{0}}> ()
        step = Constant <value = int64 {{1}}> ()
        two = Constant <value = int64 {{2}}> ()
        three = Constant <value = int64 {{3}}> ()
        vector = Constant <value = int64[1] {{1}}> ()
        last = Constant <value = int64[1] {{1}}> ()
        end = Constant <value = int64[1] {{2}}> ()
        far = Constant <value = float {{100000.0}}> ()
        near = Neg (far)
        one = Constant <value = float {{1.0}}> ()
        stride = Constant <value = float {{8.0}}> ()
        anchor = Constant <value = float[3, 1] {{0.0, 0.0, 8.0}}> ()

        red, green, blue = Split <axis = 1> (picture)
        r = Greater (red, zero)
        g = Greater (green, zero)
        b = Greater (blue, zero)
        no_r = Not (r)
        no_g = Not (g)
        no_b = Not (b)
        rb = And (r, b)
        gb = And (g, b)
        rg = And (r, g)
        magenta = And (rb, no_g)
        cyan = And (gb, no_r)
        yellow = And (rg, no_b)
        faces = Concat <axis = 1> (magenta, cyan, yellow)

        shape = Shape (picture)
        height_ = Gather (shape, two)
        width_ = Gather (shape, three)
        whole_xs = Range (first, width_, step)
        xs = Cast <to = 1> (whole_xs)
        whole_ys = Range (first, height_, step)
        flat_ys = Cast <to = 1> (whole_ys)
        ys = Unsqueeze (flat_ys, last)
        x_or_far = Where (faces, xs, far)
        x_or_near = Where (faces, xs, near)
        y_or_far = Where (faces, ys, far)
        y_or_near = Where (faces, ys, near)
        lefts = ReduceMin <axes = [2, 3], keepdims = 0> (x_or_far)
        rights = ReduceMax <axes = [2, 3], keepdims = 0> (x_or_near)
        tops = ReduceMin <axes = [2, 3], keepdims = 0> (y_or_far)
        bottoms = ReduceMax <axes = [2, 3], keepdims = 0> (y_or_near)
        x0 = Transpose (lefts)
        y0 = Transpose (tops)
        last_x = Transpose (rights)
        last_y = Transpose (bottoms)
        x1 = Add (last_x, one)
        y1 = Add (last_y, one)
        w = Sub (x1, x0)
        h = Sub (y1, y0)
        side = Max (w, h)
        frame = Cast <to = 1> (width_)
        part = Div (side, frame)

        smallest = Constant <value = float {{{SMALLEST}.0}}> ()
        largest = Constant <value = float {{{LARGEST}}}> ()
        surest = Constant <value = float {{{SUREST}}}> ()
        best = Constant <value = float {{0.9}}> ()
        large_enough = GreaterOrEqual (side, smallest)
        small_enough = LessOrEqual (part, largest)
        sized = And (large_enough, small_enough)
        {mark}
        off = Sub (part, surest)
        loss = Abs (off)
        sureness = Sub (best, loss)
        scores = Where (seen, sureness, zero)

        to_left = Sub (anchor, x0)
        to_right = Sub (x1, anchor)
        to_top = Neg (y0)
        distances = Concat <axis = 1> (to_left, to_top, to_right, y1)
        boxs = Div (distances, stride)

        across = Constant <value = float[1, 5] {{{_row(LANDMARKS[:, 0])}}}> ()
        down = Constant <value = float[1, 5] {{{_row(LANDMARKS[:, 1])}}}> ()
        inside_x = Mul (w, across)
        inside_y = Mul (h, down)
        point_x = Add (x0, inside_x)
        point_y = Add (y0, inside_y)
        from_anchor = Sub (point_x, anchor)
        point_xs = Unsqueeze (from_anchor, end)
        point_ys = Unsqueeze (point_y, end)
        pairs = Concat <axis = 2> (point_xs, point_ys)
        rows_of_ten = Constant <value = int64[2] {{3, 10}}> ()
        flat_pairs = Reshape (pairs, rows_of_ten)
        points = Div (flat_pairs, stride)

        {shapes}
        found = Constant <value = int64[1] {{3}}> ()
        some = Constant <value = int64[1] {{0}}> ()
        missing = Sub (anchors8, found)
        before = Constant <value = int64[2] {{0, 0}}> ()
        pads = Concat <axis = 0> (before, missing, some)
        {padded}
        {coarse}
    }}
    """
    return onnx.parser.parse_model(text)


def recogniser(side: int = 112, gain: float = 1.0, other: bool = False) -> onnx.ModelProto:
    """Averages 8x8 blocks and keeps the first 512: all of red, all of green, some of blue.

    With `other` every second number has the other sign, as if of a network of its own, with the same cosines.
    """
    gains = np.full(512, gain, np.float32)
    if other:
        gains[1::2] *= -1
    model = onnx.parser.parse_model(f"""
    <ir_version: 8, opset_import: ["": 17]>
    arcface (float[1, 3, {side}, {side}] crop) => (float[1, 512] identity) {{
        blocks = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (crop)
        flat = Flatten (blocks)
        start = Constant <value = int64[1] {{0}}> ()
        stop = Constant <value = int64[1] {{512}}> ()
        axis = Constant <value = int64[1] {{1}}> ()
        kept = Slice (flat, start, stop, axis)
        identity = Mul (kept, gain)
    }}
    """)
    model.graph.initializer.append(onnx.numpy_helper.from_array(gains, "gain"))
    return model


def pattern_recogniser(width: int = 100, own_scale: bool = False, names: tuple[str, str] = ("", "")) -> onnx.ModelProto:
    """Averages 8x8 blocks, takes each colour's mean away and keeps the first `width`: people are patterns.

    With `own_scale` it takes pixels from 0 to 255 and scales them by itself, in two nodes of these names; on pixels
    from -1 to 1 it then gives everybody nearly the same embedding.
    """
    scaled = (
        "levels = Sub (crop, middle)\n        pixels = Div (levels, scale)" if own_scale else "pixels = Identity (crop)"
    )
    model = onnx.parser.parse_model(f"""
    <ir_version: 8, opset_import: ["": 17]>
    arcface (float[1, 3, 112, 112] crop) => (float[1, {width}] identity) {{
        middle = Constant <value = float {{127.5}}> ()
        scale = Constant <value = float {{127.5}}> ()
        {scaled}
        blocks = AveragePool <kernel_shape = [8, 8], strides = [8, 8]> (pixels)
        common = ReduceMean <axes = [2, 3]> (blocks)
        apart = Sub (blocks, common)
        pattern = Flatten (apart)
        squared = Mul (common, common)
        colours = Flatten (squared)
        whole = Concat <axis = 1> (colours, pattern)
        start = Constant <value = int64[1] {{0}}> ()
        stop = Constant <value = int64[1] {{{width}}}> ()
        axis = Constant <value = int64[1] {{1}}> ()
        identity = Slice (whole, start, stop, axis)
    }}
    """)
    if own_scale:
        for node, name in zip(
            (node for node in model.graph.node if node.op_type in ("Sub", "Div")), names, strict=False
        ):
            node.name = name
    return model


def identity_of(crop: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return what `recogniser` gives for an aligned crop, uint8 [112, 112, 3] in BGR, at unit length."""
    planes = (crop[..., ::-1].astype(np.float64) - 127.5) / 127.5
    blocks = planes.reshape(14, 8, 14, 8, 3).mean((1, 3)).transpose(2, 0, 1).ravel()[:512]
    return blocks / np.linalg.norm(blocks)


def constant(side: int, values: NDArray[np.float32]) -> onnx.ModelProto:
    """Make a model that gives the same values for every [1, 3, side, side] crop."""
    value = onnx.numpy_helper.from_array(values[None].astype(np.float32))
    crop = onnx.helper.make_tensor_value_info("crop", onnx.TensorProto.FLOAT, [1, 3, side, side])
    answer = onnx.helper.make_tensor_value_info("answer", onnx.TensorProto.FLOAT, [1, len(values)])
    node = onnx.helper.make_node("Constant", [], ["answer"], value=value)
    graph = onnx.helper.make_graph([node], "constant", [crop], [answer])
    return onnx.helper.make_model(graph, ir_version=8, opset_imports=[onnx.helper.make_opsetid("", 17)])


def genderage(male: bool, age: int) -> onnx.ModelProto:
    """InsightFace's form: evidence for female, for male, and age / 100."""
    return constant(96, np.array([not male, male, age / 100], np.float32))


def landmarks_in_space(pitch: float, yaw: float, roll: float) -> onnx.ModelProto:
    """InsightFace's form: 1103 points of which the last 68 count; here the mean face, turned (degrees)."""
    from insightface.data import get_object

    x, y, z = np.radians([pitch, yaw, roll])
    turn_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    turn_y = np.array([[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]])
    turn_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    mean = np.asarray(get_object("meanshape_68.pkl"))
    turned = mean @ (turn_z @ turn_y @ turn_x).T
    points = np.zeros((1103, 3))
    points[-68:] = turned / np.abs(turned).max()
    return constant(192, points.ravel().astype(np.float32))


def write(folder: Path, **models: onnx.ModelProto) -> Path:
    """Put models into a pack's folder, each under its name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in models.items():
        onnx.save(model, str(folder / f"{name}.onnx"))
    return folder


def with_mark(face: NDArray[np.float32], turns: int = 0, mirrored: bool = False) -> NDArray[np.float32]:
    """Add a white mark at the upper left of a square [side, side, 3], then turn it as in `View`."""
    marked = face.copy()
    side = len(face)
    marked[side // 16 : side // 6, side // 4 : side * 3 // 8] = 1
    return np.ascontiguousarray(np.rot90(marked[:, ::-1] if mirrored else marked, turns))


def scene(height: int, width: int, **squares: tuple[int, int, int]) -> NDArray[np.float32]:
    """A picture, RGB [H, W, 3] in [0, 1], with squares (x, y, side) named by their colour.

    The squares are noisy within what the detector takes for their colour, so that a recogniser can tell how
    they were cut out.
    """
    generator = np.random.default_rng(0)
    picture = generator.uniform(0.1, 0.3, (height, width, 3))
    for name, (x, y, side) in squares.items():
        noise = generator.uniform(0.0, 0.3, (side, side, 3))
        picture[y : y + side, x : x + side] = np.abs(np.array(COLOURS[name]) - noise)
    return np.float32(np.round(picture * 255) / 255)
