"""Identity Pseudonym: one stranger for a person in all photographs, and another one under another key."""

from __future__ import annotations

from comfy_api.latest import io

from ..host.identity_statistics import statistics_of
from ..host.pseudonym_keys import KEY_VARIABLE, LONGEST_NAME, key_age, read_key
from ..reverse_personalization.geometry.faces import Faces
from ..reverse_personalization.method.pseudonym import pseudonyms
from ..reverse_personalization.method.target import IdentityTarget
from .sockets import CATEGORY, SEARCH_ALIASES, FacesSocket, IdentityTargetSocket


class ReverseIdentityPseudonym(io.ComfyNode):
    """REVERSE_IDENTITY_FACES -> REVERSE_IDENTITY_TARGET, by a secret key."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityPseudonym",
            display_name="Identity Pseudonym",
            category=CATEGORY,
            description=(
                "An identity for each face to be drawn towards, decided by who it is and by your secret key: nearly "
                "one for a person in all photographs, and another under another key. The new faces follow it in part. "
                "Whoever sees many results under one key can link those of one person: that is what it is for."
            ),
            search_aliases=[*SEARCH_ALIASES, "target", "pseudonymize", "consistent", "album", "key"],
            inputs=[
                FacesSocket.Input("faces", tooltip="The faces that are changed: the same as at the sampler."),
                io.String.Input(
                    "key",
                    default="album",
                    tooltip=(
                        f"The NAME of your key, up to {LONGEST_NAME} letters, digits, - and _; never the key itself. "
                        f"The key is the environment variable {KEY_VARIABLE}NAME (in capitals), or else the file "
                        "NAME.key in the folder __reverse_personalization of ComfyUI's user folder. Whoever has the "
                        "key can work back from a target to the person; without it no later photograph gets the same "
                        "targets."
                    ),
                ),
            ],
            outputs=[
                IdentityTargetSocket.Output(
                    display_name="target", tooltip="For the target input of a sampler, or of Change Identity."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, key: str | None = None) -> bool | str:
        """Refuse a key that is missing or too short as soon as the graph is queued; None stands for a linked input."""
        try:
            if key is not None:
                read_key(key)
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def fingerprint_inputs(cls, faces: Faces | None, key: str) -> int:
        """Run again when the key's file was written. The host stores this number in the graph: it tells no key."""
        return key_age(key)

    @classmethod
    def execute(cls, faces: Faces, key: str) -> io.NodeOutput:
        """Make a target for each face that is somebody.

        Raises:
            ValueError: there is no such key, or it is too short.
            FileNotFoundError: the guide's pack is missing.
        """
        secret = read_key(key)
        own = faces.embeddings()[[number for number, face in enumerate(faces) if not face.nobody]]
        made = pseudonyms(own, secret, statistics_of(faces.model_pack)) if len(own) else own
        return io.NodeOutput(IdentityTarget("pseudonym", faces.model_pack, own, made))
