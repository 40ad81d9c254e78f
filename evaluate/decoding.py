"""Turns a model's raw outputs into degrees, probabilities, years, and vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .declaration import Output

Values = NDArray[np.float64]


def decoded(output: Output, raw: Sequence[NDArray[Any]]) -> Values:
    """Decode one picture's outputs.

    Args:
        output: what they mean.
        raw: of each source, all its numbers, [W] or of any shape with so many elements.

    Returns:
        [A] degrees of angles in (-180, 180], [C] probabilities of classes, [1] of a regression or a score, [D] else.

    Raises:
        ValueError: there are more or fewer numbers than the declaration needs.
    """
    parts = [_part(output, np.asarray(one, np.float64).reshape(-1)) for one in raw]
    if output.kind == "angles":
        return _angles(output, parts)
    values = np.concatenate(parts)
    if output.kind == "classes":
        return _probabilities(output, values)
    if output.kind == "regression" and output.values:
        _expect(output, len(values), len(output.values))
        return np.array([_softmax(values) @ np.array(output.values)])
    if output.kind in ("regression", "score"):
        _expect(output, len(values), 1)
    return values


def angle_change(before: NDArray[Any], after: NDArray[Any]) -> NDArray[Any]:
    """Return the difference of angles in degrees, in [0, 180]: 179 and -179 differ by 2."""
    change: NDArray[Any] = np.abs((after - before + 180) % 360 - 180)
    return change


def direction_change(one: Values, other: Values) -> float:
    """The angle in degrees between two directions, each given by its (yaw, pitch) in degrees."""
    first, second = (
        np.array([np.cos(pitch) * np.sin(yaw), np.sin(pitch), np.cos(pitch) * np.cos(yaw)])
        for yaw, pitch in (np.radians(one), np.radians(other))
    )
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(first, second)), first @ second)))


def _part(output: Output, values: Values) -> Values:
    if output.columns is None:
        return values
    first, end = output.columns
    if end > len(values):
        raise ValueError(f'"{output.name}" is declared as columns {first} to {end} of an output of {len(values)}')
    return values[first:end]


def _angles(output: Output, parts: Sequence[Values]) -> Values:
    from scipy.spatial.transform import Rotation

    if output.decoding == "bins":
        _expect(output, len(parts), len(output.axes), "outputs, one for each axis")
        means = [_softmax(part) @ (output.first + output.step * np.arange(len(part))) for part in parts]
        return np.array(means)
    values = np.concatenate(parts)
    if output.decoding.startswith("rotation"):
        if output.decoding == "rotation_6d":
            _expect(output, len(values), 6)
            matrix = _from_6d(values)
        else:
            _expect(output, len(values), 9)
            matrix = values.reshape(3, 3)
        turned: Values = Rotation.from_matrix(matrix).as_euler("xyz", degrees=True)
        return turned
    _expect(output, len(values), len(output.axes))
    return np.degrees(values) if output.decoding == "radians" else values


def _from_6d(values: Values) -> Values:
    """The rotation matrix whose first two columns, before they are made orthonormal, are the values' halves.

    Zhou et al., "On the Continuity of Rotation Representations in Neural Networks" (2019), with the first column kept
    and the third computed before the second, as 6DRepNet does.
    """
    x = values[:3] / np.linalg.norm(values[:3])
    z = np.cross(x, values[3:])
    z /= np.linalg.norm(z)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _probabilities(output: Output, values: Values) -> Values:
    if len(output.classes) == 2 and len(values) == 1 and output.activation != "softmax":
        # One number is the second class's.
        second = _sigmoid(values) if output.activation == "sigmoid" else values
        return np.concatenate([1 - second, second])
    _expect(output, len(values), len(output.classes))
    if output.activation == "softmax":
        return _softmax(values)
    made = _sigmoid(values) if output.activation == "sigmoid" else values
    # Independent sigmoids do not add up to 1.
    return made / made.sum() if output.activation == "sigmoid" else made


def _softmax(values: Values) -> Values:
    weights = np.exp(values - values.max())
    return weights / weights.sum()


def _sigmoid(values: Values) -> Values:
    return 1 / (1 + np.exp(-values))


def _expect(output: Output, found: int, expected: int, what: str = "numbers") -> None:
    if found != expected:
        raise ValueError(f'"{output.name}" ({output.kind}) has {found} {what}; its declaration needs {expected}')
