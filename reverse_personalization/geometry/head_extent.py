"""How far an adult's face and head reach: the only place that says so.

Lengths are fractions of the side of the face's FFHQ-aligned crop (`face_template.ffhq_fractions`). In that crop the
pupils are 0.24 apart, 63 mm on average, so its side is about 260 mm. Measured from the line between the eyes, an
adult's chin is then 0.45 below and the hairline 0.3 above; the ears are 0.35 to either side of the middle.
"""

from __future__ import annotations

import math

FACE_CENTRE = (0.5, 0.545)
"""x and y of the middle of a face that looks into the camera, hairline to chin and ear to ear."""

FACE_RADII = (0.36, 0.405)
"""Half the width and half the height of the ellipse around that face."""

YAW_SHIFT_PER_NOSE_OFFSET = 1.1
"""How far the ellipse moves away from where the nose points, per offset of the nose from the line from eyes to mouth.

When a head turns, the visible ear lies further from the eyes than the opposite cheek does.
"""

MAX_YAW_SHIFT = 0.09
"""Largest such shift; it keeps the ellipse inside the crop."""

HEAD_RADII = (0.375, 0.475)
"""Half the width and half the height of the ellipse that covers a head; its middle is the crop's.

Where the distance between the eyes sets the crop's side, the side is four times that distance: about 252 mm for an
average adult, so the radii are 95 mm and 120 mm. With its ears the head reaches 90 mm to either side; the chin is
108 mm below the crop's middle, the hairline 77 mm above.
"""

HEAD_PER_FACE = math.sqrt(2)
"""How much larger the head is, with hair and ears, than the face alone, in a detected box.

A box reaches from the forehead to the chin and from cheek to cheek. The ellipse inscribed in it is the face; the one
through its corners, the square root of 2 times as large, takes in the hairline and the ears.
"""
