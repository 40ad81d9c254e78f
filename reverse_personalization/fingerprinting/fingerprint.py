"""The fingerprint of the network that recorded a trajectory, and how another network's differs from it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_SHOWN = 6


@dataclass(frozen=True)
class ModelFingerprint:
    """Identifies the network of a trajectory; fingerprints are equal exactly if its noise can be replayed.

    Attributes:
        model: digest of the network's weights, its patches and its noise schedule.
        adapter: digest of the identity adapter's weights, and its weight in the attention.
        parts: the parts of `model`, each as a name and a digest, in the order in which they act.
    """

    model: str
    adapter: str
    parts: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"model {self.model}, adapter {self.adapter}"

    def differences(self, other: ModelFingerprint) -> list[str]:
        """List how the sampler's model differs from that of the inversion (this one).

        Args:
            other: fingerprint of the sampler's model.

        Returns:
            A phrase for each part that differs, none for equal fingerprints: "the noise schedule is different", or
            `output_block_patch "FreeU_V2.execute.output_block_patch of comfy_extras.nodes_freelunch" is missing here`.
        """
        ours, theirs = Counter(self.parts), Counter(other.parts)
        lost, added = ours - theirs, theirs - ours
        was, now = {name for name, _ in lost}, {name for name, _ in added}
        phrases = ["the identity adapter is different"] if self.adapter != other.adapter else []
        for name in dict.fromkeys(name for name, _ in (*self.parts, *other.parts)):
            if name in was and name in now:
                phrases.append(f"{name} is different")
            elif name in was:
                phrases.append(f"{name} is missing here")
            elif name in now:
                phrases.append(f"{name} was not there at the inversion")
        if not phrases and self != other:
            phrases.append("the patches are the same but in another order")
        rest = len(phrases) - _SHOWN
        return [*phrases[:_SHOWN], f"and {rest} more"] if rest > 0 else phrases
