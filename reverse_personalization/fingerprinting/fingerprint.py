"""Which network a trajectory belongs to, and what to say of another."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

_SHOWN = 6


@dataclass(frozen=True)
class ModelFingerprint:
    """Which network a trajectory belongs to; equal exactly where the recorded noise can be replayed.

    Attributes:
        model: digest over the network's weights, its patches and its noise schedule.
        adapter: digest over the identity adapter's weights, and its weight in the attention.
        parts: names of what `model` is made of, each with a digest of its own, in the order in which it acts.
    """

    model: str
    adapter: str
    parts: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __str__(self) -> str:
        return f"model {self.model}, adapter {self.adapter}"

    def differences(self, other: ModelFingerprint) -> list[str]:
        """What differs between the model of the inversion, which is this one, and another.

        Args:
            other: of the model that the sampler has.

        Returns:
            a phrase for each part that differs, empty for equal fingerprints; "the noise schedule is another", say, or
            `output_block_patch "FreeU_V2.execute.output_block_patch of comfy_extras.nodes_freelunch" is missing here`.
        """
        ours, theirs = Counter(self.parts), Counter(other.parts)
        lost, added = ours - theirs, theirs - ours
        was, now = {name for name, _ in lost}, {name for name, _ in added}
        phrases = ["the identity adapter is another"] if self.adapter != other.adapter else []
        for name in dict.fromkeys(name for name, _ in (*self.parts, *other.parts)):
            if name in was and name in now:
                phrases.append(f"{name} is another")
            elif name in was:
                phrases.append(f"{name} is missing here")
            elif name in now:
                phrases.append(f"{name} was not there at the inversion")
        if not phrases and self != other:
            phrases.append("the patches are the same in another order")
        rest = len(phrases) - _SHOWN
        return [*phrases[:_SHOWN], f"and {rest} more"] if rest > 0 else phrases
