"""Poses and lights a person, ready to be drawn at any size."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .appearance import Appearance
from .geometry import F32, I32, head_rotation, vertex_normals
from .hair import (
    HairForm,
    above_hairline,
    add_beard,
    add_bun,
    add_cap,
    add_curtain,
    angle_around,
    hair_form,
    hair_margin,
)
from .head_mesh import EYE_LEFT, EYE_RIGHT, SKIN, HeadModel, head_model
from .identity import Identity
from .nuisance import Lighting, Nuisance, Pose
from .raster import depth_map, rasterise
from .shading import SHADOW_REACH, SHADOW_SIDE, Lights, shade
from .skin import Look, below_neckline
from .soup import (
    ATTRIBUTES,
    BEARD,
    CAP,
    CLOTH,
    EARS,
    FACE,
    GLASSES,
    INNER,
    LASHES,
    LAYER,
    LIDS,
    LIMB,
    LIPS,
    MARGIN,
    OPEN,
    REST,
    Soup,
    neck_follow,
)
from .wear import add_body, add_glasses

PIVOT = np.array([0.0, -0.06, 0.845], np.float32)
"""Point where the head turns on the neck, metres; the origin of posed coordinates."""

STUBBLE = {"none": 0.06, "stubble": 0.38, "moustache": 0.22, "goatee": 0.25, "full": 0.35}
"""How much the roots of the beard darken a man's skin."""


@dataclass(frozen=True, eq=False)
class Person:
    """Geometry and colours of one person, as the kernels take them.

    Attributes:
        posed: [V, 3] metres around PIVOT: x image right, y away, z up.
        normals: [V, 3].
        attributes: [V, ATTRIBUTES], with the columns of `soup`.
        triangles: [T, 3].
        parts: [T].
        look: colours.
        form: form of the hair.
        lights: the light.
        shadow: [SHADOW_SIDE, SHADOW_SIDE], shadow map.
        landmarks: [5, 3] posed metres: image-left eye, image-right eye, nose tip, image-left mouth corner,
            image-right mouth corner.
        pupils: [2, 3] posed metres, image-left and image-right.
        outline: [N, 3] posed places of the face's skin, from hairline to chin and cheek to cheek.
        distance: metres from the camera to PIVOT.
    """

    posed: F32
    normals: F32
    attributes: F32
    triangles: I32
    parts: NDArray[np.uint8]
    look: Look
    form: HairForm
    lights: Lights
    shadow: F32
    landmarks: F32
    pupils: F32
    outline: F32
    distance: float

    def projected(self, places: F32) -> F32:
        """Project posed places [N, 3] to metres [N, 2] in the plane of PIVOT, x image right and y down."""
        nearness = self.distance / (self.distance + places[:, 1:2])
        flat: F32 = places[:, [0, 2]] * nearness * np.array([1, -1], np.float32)
        return flat

    def draw(self, view: NDArray[np.float64], height: int, width: int, samples: int = 2) -> F32:
        """Draw the person alone.

        Args:
            view: [2, 3] affine map from `projected` metres to pixels.
            height: pixels.
            width: pixels.
            samples: samples per side of a pixel.

        Returns:
            [height, width, 5], the channels of `shading.CHANNELS`.
        """
        screen = np.empty_like(self.posed)
        screen[:, :2] = (self.projected(self.posed) @ view[:, :2].T + view[:, 2]) * samples
        screen[:, 2] = 1 / (self.distance + self.posed[:, 1])
        seen, weights = rasterise(
            screen, self.triangles, self.parts, self.attributes, self.form, height * samples, width * samples
        )
        drawing: F32 = shade(
            seen,
            weights,
            self.triangles,
            self.parts,
            self.posed,
            self.normals,
            self.attributes,
            self.look,
            self.form,
            self.lights,
            self.shadow,
            np.array([0.0, -self.distance, 0.0]),
            samples,
        )
        return drawing


def linear(colour: object) -> NDArray[np.float64]:
    """Convert an sRGB colour to linear light."""
    value = np.asarray(colour, np.float64)
    return np.where(value < 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def gaze_direction(pose: Pose) -> NDArray[np.float64]:
    """Return the unit vector [3] of the gaze in the head's frame."""
    yaw, pitch = np.radians([pose.gaze_yaw, pose.gaze_pitch])
    return np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])


def inside_face(places: F32) -> F32:
    """Return how many metres [N] canonical places [N, 3] of the skin are inside the face, negative outside.

    The face ends at the hairline, at the jaw and in front of the ears.
    """
    _, y, z = places.T
    jaw = 0.786 + 0.030 * np.clip((y + 0.150) / 0.08, 0, 1)
    inside = np.stack([-0.045 - y, (78 - angle_around(places)) * 0.0015, z - jaw, 0.004 - above_hairline(places)])
    result: F32 = inside.min(0).astype(np.float32)
    return result


@cache
def face_points(model: HeadModel) -> tuple[NDArray[np.int64], NDArray[np.int64], F32]:
    """Return places on the face's skin: its vertices, and where the mesh's edges cross its border.

    Returns:
        Vertices [N] and [N], and the fraction [N, 1] of the way from the first to the second.
    """
    inside = inside_face(model.mean)
    skin = (model.vertex_parts == SKIN) & (model.masks[3] < 0.1)
    triangles = model.triangles[skin[model.triangles].all(1)]
    edges = np.unique(np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1), axis=0)
    a, b = edges[(inside[edges] > 0).sum(1) == 1].T
    within = np.flatnonzero((inside > 0) & skin)
    way = np.concatenate([np.zeros(len(within)), inside[a] / (inside[a] - inside[b])])
    return np.concatenate([within, a]), np.concatenate([within, b]), way[:, None].astype(np.float32)


@cache
def bare_triangles(model: HeadModel) -> tuple[I32, NDArray[np.uint8]]:
    """Return triangles and parts of the head without the shoulders, which clothes hide."""
    hidden = np.array([below_neckline(*place) > 0.04 for place in model.mean.tolist()])
    kept = ~hidden[model.triangles].all(1)
    return model.triangles[kept], model.parts[kept]


@cache
def skin_attributes(model: HeadModel) -> F32:
    """Return the attributes [V, ATTRIBUTES] of the head's vertices."""
    attributes = np.zeros((len(model.mean), ATTRIBUTES), np.float32)
    attributes[:, REST : REST + 3] = model.mean
    attributes[:, OPEN] = model.occlusion
    for column, mask in zip((LIPS, LIDS, EARS, INNER), model.masks, strict=True):
        attributes[:, column] = mask
    attributes[:, LASHES] = model.lash_line
    attributes[:, FACE] = inside_face(model.mean)
    return attributes


def make_look(identity: Identity, appearance: Appearance, pose: Pose) -> Look:
    """Convert a person's colours to what the kernels need."""
    skin = linear(appearance.skin)
    natural = skin * np.array([0.86, 0.52, 0.52])
    paint = appearance.make_up
    rng = np.random.default_rng(appearance.grain)
    shadow = linear(0.25 + 0.35 * rng.random(3)) * skin.mean() * 2
    male = identity.sex == "male"
    return Look(
        skin=skin,
        lips=natural * (1 - min(paint, 1)) + linear(appearance.lipstick) * min(paint, 1),
        lip_cover=0.62 + 0.25 * paint if paint else (0.50 if male else 0.62),
        lid=shadow,
        lid_cover=0.45 * paint,
        blush=min(appearance.redness + 0.4 * paint, 1.2),
        liner=0.45 + 0.5 * paint,
        age=float(np.clip((appearance.age - 36) / 44, 0, 1)),
        gloss=appearance.gloss,
        stubble=STUBBLE[appearance.beard] if male else 0.0,
        hair=linear(appearance.hair),
        iris=linear(appearance.iris),
        brows=np.array(identity.brows),
        gaze=gaze_direction(pose),
        eyes=head_model().eye_centres.astype(np.float64),
        clothes=linear(appearance.clothes),
        trousers=linear(0.12 + 0.25 * rng.random() + 0.05 * rng.random(3)),
        pattern=appearance.pattern,
        frame=linear(appearance.frame),
        seed=float(appearance.grain % 997),
    )


def make_lights(lighting: Lighting) -> Lights:
    """Convert lighting to what the kernels need."""
    azimuth, elevation = np.radians([lighting.azimuth, lighting.elevation])
    direction = np.array([np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)])
    across = np.cross(direction, [0, 0, 1.0])
    across /= np.linalg.norm(across)
    tint = lighting.warmth * np.array([0.09, 0.0, -0.11])
    ambient = lighting.ambient * (1 - 0.35 * tint)
    return Lights(
        direction=direction,
        key=lighting.key * (1 + tint),
        sky=ambient * np.array([0.98, 1.0, 1.03]),
        ground=ambient * np.array([0.50, 0.46, 0.43]),
        gain=np.array(lighting.balance) * lighting.exposure,
        to_map=np.stack([across, np.cross(direction, across), direction]),
    )


def build_person(identity: Identity, nuisance: Nuisance) -> Person:
    """Build everything about a person that does not depend on the picture's size."""
    model, appearance, pose = head_model(), nuisance.appearance, nuisance.pose
    vertices = model.express(identity.vertices(appearance.age), nuisance.expression.actions())
    normals = vertex_normals(vertices, model.triangles)
    attributes = skin_attributes(model).copy()
    attributes[:, MARGIN] = hair_margin(model, appearance)
    soup = Soup()
    soup.add(vertices, attributes, *bare_triangles(model), neck_follow(model.mean[:, 2]))
    add_beard(soup, model, vertices, normals, attributes, appearance)
    add_cap(soup, model, vertices, normals, attributes, appearance)
    add_curtain(soup, model, vertices, appearance)
    add_bun(soup, model, vertices, appearance)
    add_glasses(soup, model, vertices, appearance)
    add_body(soup, identity.weight, identity.masculinity)

    rotation = head_rotation(pose.yaw, pose.pitch, pose.roll)
    # Shoulders follow the head a little.
    body = head_rotation(0.3 * pose.yaw, 0, 0)

    def posed(places: F32, follow: F32 | float) -> F32:
        centred = places - PIVOT
        part = np.asarray(follow, np.float32)[..., None]
        return ((centred @ rotation.T) * part + (centred @ body.T) * (1 - part)).astype(np.float32, copy=False)

    everything = posed(np.concatenate(soup.vertices), np.concatenate(soup.follow))
    triangles, parts = np.concatenate(soup.triangles), np.concatenate(soup.parts)
    lights = make_lights(nuisance.lighting)
    scale = SHADOW_SIDE / SHADOW_REACH
    to_pixels = (lights.to_map.T * np.array([scale, scale, 1])).astype(np.float32)
    in_map: F32 = everything @ to_pixels
    in_map[:, :2] += SHADOW_SIDE / 2
    # No shadows from beards and inner shells, which shade only their own roots, or from clothes, far from the face.
    attributes_of_all = np.concatenate(soup.attributes)
    outer = (attributes_of_all[triangles[:, 0], LAYER] > 0.99) | (parts < CAP) | (parts == GLASSES)
    casting = triangles[outer & (parts != BEARD) & (parts != CLOTH) & (parts != LIMB)]
    centres, radii = model.eye_balls(vertices)
    sides = [EYE_RIGHT - EYE_LEFT, 0]
    front = np.array([0, -1.0, 0], np.float32)
    eyes = centres[sides] + radii[sides, None] * front
    left, right = model.corners_of_mouth
    start, end, way = face_points(model)
    landmarks = np.concatenate([eyes, vertices[[model.nose_tip, left, right]]])
    pupils = centres[sides] + radii[sides, None] * gaze_direction(pose).astype(np.float32)
    return Person(
        posed=everything,
        normals=vertex_normals(everything, triangles),
        attributes=attributes_of_all,
        triangles=triangles,
        parts=parts,
        look=make_look(identity, appearance, pose),
        form=hair_form(appearance),
        lights=lights,
        shadow=depth_map(in_map, casting, SHADOW_SIDE),
        landmarks=posed(landmarks, 1.0),
        pupils=posed(pupils, 1.0),
        outline=posed(vertices[start] * (1 - way) + vertices[end] * way, 1.0),
        distance=nuisance.framing.distance,
    )
