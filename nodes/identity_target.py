"""Identity Target: whom faces are drawn towards while they are pushed away from themselves."""

from __future__ import annotations

from comfy_api.latest import io
from torch import Tensor

from ..host.identity_statistics import statistics_of
from ..host.queued_graph import is_connected
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method import targets
from ..reverse_personalization.method.target import IdentityTarget, TargetKind
from .checks import check_choice, check_target_faces
from .inputs import seed_input
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityTargetSocket

KINDS: tuple[TargetKind, ...] = ("synthetic", "rotated", "opposite", "stranger", "mix")
"""What a target can be made of here; the first is the default."""

OF_OTHERS: frozenset[TargetKind] = frozenset({"stranger", "mix"})
"""Kinds that are made of other people."""


class ReverseIdentityTarget(io.ComfyNode):
    """REVERSE_IDENTITY_FACES -> REVERSE_IDENTITY_TARGET, one identity for each face."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityTarget",
            display_name="Identity Target",
            category=CATEGORY,
            description=(
                "An identity for each face to be drawn towards while it is pushed away from its own: the change then "
                "has a direction. A made-up person, the person's own identity turned away, or other people."
            ),
            search_aliases=[*SEARCH_ALIASES, "target", "stranger", "synthetic", "swap", "two-sided guidance"],
            inputs=[
                FacesSocket.Input("faces", tooltip="The faces that are changed: the same as at the sampler."),
                io.Combo.Input(
                    "kind",
                    options=list(KINDS),
                    default=KINDS[0],
                    tooltip=(
                        "synthetic: a made-up person, drawn as the guide's embeddings are spread where a file beside "
                        "the guide says how, with the sex of the face if it is known; of other guides, such as "
                        "buffalo_l, evenly from the whole sphere. rotated: the own identity, turned by the angle. "
                        "opposite: turned by 180 degrees. stranger: the faces of others. mix: one mix of them for all."
                    ),
                ),
                FacesSocket.Input(
                    "others",
                    optional=True,
                    tooltip=(
                        "For stranger and mix: other people's faces (Embed Faces), of the same model pack. For "
                        "stranger in order, beginning again where there are fewer. The results may look like them: "
                        "take people who agree, or who do not exist."
                    ),
                ),
                io.String.Input(
                    "weights",
                    optional=True,
                    default="",
                    advanced=True,
                    tooltip='For mix: a number for each of the others, such as "2, 1, 1". Empty: their mean.',
                ),
                io.Float.Input(
                    "angle",
                    optional=True,
                    default=90.0,
                    min=0.0,
                    max=targets.LARGEST_ANGLE,
                    step=5.0,
                    advanced=True,
                    tooltip=(
                        "For rotated: degrees between the own identity and the target. 90 is nobody like the person, "
                        "180 the opposite; 0 is the person, so use at least 60."
                    ),
                ),
                seed_input(
                    "For synthetic and rotated: seed of the draw. Another seed gives other people; each face of a "
                    "batch gets its own.",
                    optional=True,
                ),
            ],
            outputs=[
                IdentityTargetSocket.Output(
                    display_name="target", tooltip="For the target input of a sampler, or of Change Identity."
                )
            ],
            hidden=[io.Hidden.unique_id],
        )

    @classmethod
    def validate_inputs(
        cls, kind: str | None = None, weights: str | None = None, angle: float | None = None
    ) -> bool | str:
        """Refuse what cannot become a target before anything is computed; None stands for a linked input."""
        try:
            if kind is not None:
                check_choice("kind", kind, KINDS)
                if kind in OF_OTHERS and not is_connected(getattr(cls.hidden, "unique_id", None), "others"):
                    return _needs_others(kind)
            if weights is not None:
                targets.parse_weights(weights)
            if angle is not None:
                targets.check_angle(angle)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(
        cls,
        faces: Faces,
        kind: TargetKind,
        others: Faces | None = None,
        weights: str = "",
        angle: float = 90.0,
        seed: int = 0,
    ) -> io.NodeOutput:
        """Make a target for each face that is somebody.

        Raises:
            ValueError: an input does not fit the kind, or the others are of another model pack.
            FileNotFoundError: the guide's pack is missing.
        """
        check_choice("kind", kind, KINDS)
        people = [face for face in faces if not face.nobody]
        own = faces.embeddings()[[number for number, face in enumerate(faces) if not face.nobody]]

        def made() -> Tensor:
            if kind == "opposite":
                return targets.opposite(own)
            if kind == "rotated":
                return targets.rotated(own, angle, statistics_of(faces.model_pack), seed)
            if kind == "synthetic":
                return targets.synthetic([face.sex for face in people], statistics_of(faces.model_pack), seed)
            if others is None:
                raise ValueError(_needs_others(kind))
            known = check_target_faces(others, faces)
            if kind == "stranger":
                return targets.strangers(known, len(own))
            return targets.mixed(known, targets.parse_weights(weights), len(own))

        return io.NodeOutput(IdentityTarget(kind, faces.model_pack, own, made() if people else own))


def _needs_others(kind: str) -> str:
    return (
        f'the kind "{kind}" is made of other people, but others is not connected; connect Embed Faces of their '
        'picture, or choose "synthetic"'
    )
