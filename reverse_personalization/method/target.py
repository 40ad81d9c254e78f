"""The wire type TARGET: an identity for each face to be drawn towards, beside the push away from its own.

`targets` and `pseudonym` make them; `guidance` says what they do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from ..geometry.faces import Faces

TargetKind = Literal["opposite", "rotated", "stranger", "mix", "synthetic", "pseudonym"]
"""What a target is made of."""

TARGET_KINDS: tuple[TargetKind, ...] = get_args(TargetKind)


@dataclass(frozen=True)
class TargetUse:
    """What may be said about a target: it tells neither who the person was nor who the target is.

    Attributes:
        kind: what it is made of.
        towards: p of the guidance, above 0.
    """

    kind: TargetKind
    towards: float

    def __str__(self) -> str:
        return f"towards a target ({self.kind}) at {self.towards:g}"


@dataclass(frozen=True, eq=False)
class IdentityTarget:
    """The wire type REVERSE_IDENTITY_TARGET.

    Attributes:
        kind: what the targets are made of.
        guide: name of the InsightFace pack in whose space they are.
        people: float32 [F, 512], embeddings of the faces that they are for, by which a face finds its own target again,
            whatever the order of the faces and whichever of them are there.
        embeddings: float32 [F, 512], the target of each of these, of unit length.
    """

    kind: TargetKind
    guide: str
    people: Tensor = field(repr=False)
    embeddings: Tensor = field(repr=False)

    def use(self, towards: float) -> TargetUse | None:
        """What may be said about it at a scale; None at 0, where it has no effect."""
        return TargetUse(self.kind, towards) if towards else None

    def of(self, faces: Faces) -> Tensor:
        """The target of each face.

        Args:
            faces: whose embeddings equal those of `people` bit for bit, or are zero.

        Returns:
            float32 [F, 512], in the order of the faces; the null identity for a face of nobody, which is drawn nowhere.

        Raises:
            ValueError: the targets are in the space of another recogniser, or not for these faces.
        """
        if faces.model_pack != self.guide:
            raise ValueError(
                f'the target was made with the embeddings of "{self.guide}", but the faces have those of '
                f'"{faces.model_pack}"; use one model pack in both Embed Faces'
            )
        # An equal face that occurs twice is one person, so its first target is as good as its second.
        found = [None if face.nobody else self._number(face.embedding) for face in faces]
        lost = sum(number == -1 for number in found)
        if lost:
            raise ValueError(
                f"the target is for {len(self.people)} faces, but {lost} of the {len(faces)} faces to be changed "
                "are not among them; connect the same faces to the node that makes the target"
            )
        nobody = torch.zeros(self.embeddings.shape[1])
        rows = [nobody if number is None else self.embeddings[number] for number in found]
        return torch.stack(rows) if rows else self.embeddings[:0]

    def _number(self, embedding: Tensor) -> int:
        """Number of the person with this embedding; -1 if there is none."""
        return next((number for number, one in enumerate(self.people) if torch.equal(one, embedding)), -1)
