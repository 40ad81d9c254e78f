"""How far an adult's face and head reach: the only place that says so.

Lengths are fractions of the side of the face's FFHQ-aligned crop (`template.ffhq_fractions`). In that crop the
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

HEAD_RADII = (0.40, 0.45)
"""Half the width and half the height of the ellipse that covers a head: from forehead to chin and from ear to ear.

In 200 rendered heads that look up to 60 degrees aside, the half width was 0.32 in the median, at most 0.47, and the
half height 0.36, at most 0.49. How far a face reaches beyond its landmarks is a matter of the person, so landmarks
alone cannot tell: `cover_outline` asks the box as well.
"""

HEAD_DROP = 0.02
"""How far below the crop's middle the middle of that ellipse lies."""

HEAD_SHIFT_PER_NOSE_OFFSET = 2.1
"""How far the middle of that ellipse moves away from where the nose points, per offset of the nose from the line from
eyes to mouth. Fitted to the same 200 heads: what is left over has a standard deviation of 0.04. It is more than a face
needs (`YAW_SHIFT_PER_NOSE_OFFSET`), because a head that turns shows its side and its ear."""

MAX_HEAD_SHIFT = 0.3
"""Largest such shift; in those heads the nose is off by at most 0.18, and by more only where it is misplaced."""

HEAD_PER_FACE = math.sqrt(2)
"""How much larger the head is, with hair and ears, than the face alone, in a detected box.

A box reaches from the forehead to the chin and from cheek to cheek. The ellipse inscribed in it is the face; the one
through its corners, the square root of 2 times as large, takes in the hairline and the ears.
"""

BOX_PER_CROP = (0.42, 1.1)
"""Least and largest size of a face's box (the square root of its area) as a fraction of the side of the crop to which
its landmarks belong.

Of 169 faces in real photographs it was 0.55 to 0.77 (CenterFace), of rendered heads 0.43 to 1.09, with errors as large
as the detector's: 10 % of the distance between the eyes for a landmark, 4.5 % of the box's side for a side. Of what the
detector takes for a face in pictures without people it is up to 1.6.
"""

MAX_CENTRE_DISTANCE = 0.22
"""Largest distance between the middles of the heads that a face's box and its landmarks describe, as a fraction of the
same side: at most 0.14 in those real faces, 0.22 in those rendered heads."""
