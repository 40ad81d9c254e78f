"""What a batch says at its end: counts, what changed among the inputs, whether servers are clean, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .codes import BLOCKED, FAILED, STATUSES
from .manifest import Entry
from .survey import Survey

OK, SOME_BLOCKED, WRONG_COMMAND, SOME_FAILED, NOT_READY, INTERRUPTED = 0, 1, 2, 3, 4, 130
"""Exit codes."""

MOST_NAMES = 20
"""How many inputs are named in a list."""

MOST_SENTENCES = 10


@dataclass
class Summary:
    """What a batch did.

    Attributes:
        counts: inputs by status.
        sentences: how often each reason was given by those that have no picture, with their code.
        servers: how many were seen to hold nothing of ours.
        trouble: sentences about servers.
        interrupted: whether the user stopped it.
    """

    survey: Survey
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    sentences: dict[tuple[str, str], int] = field(default_factory=dict)
    servers: int = 0
    unclean: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    other_settings: int = 0
    interrupted: bool = False
    ran: bool = True

    def count(self, listed: Iterable[Entry]) -> None:
        """Count the inputs that are given."""
        for entry in listed:
            if entry.removed:
                continue
            self.counts[entry.outcome.status] += 1
            if entry.outcome.status in (BLOCKED, FAILED):
                reason = entry.outcome.code, entry.outcome.sentence
                self.sentences[reason] = self.sentences.get(reason, 0) + 1

    def exit_code(self) -> int:
        """What the process ends with."""
        if self.interrupted:
            return INTERRUPTED
        if self.counts[FAILED]:
            return SOME_FAILED
        return SOME_BLOCKED if self.counts[BLOCKED] else OK

    def text(self) -> str:
        """The summary for people. It names inputs that changed, so it is for the caller alone."""
        found = self.survey
        lines = [f"{sum(self.counts.values())} inputs: " + ", ".join(f"{self.counts[one]} {one}" for one in STATUSES)]
        if found.duplicates:
            lines.append(f"{found.duplicates} show a photograph that another input shows; they share its result")
        for names, what in (
            ([] if found.first else found.new, "new since the last run"),
            (found.replaced, "replaced since the last run"),
            (found.removed, "no longer among the inputs; their results stay"),
            (found.lost, "whose result was not there any more, run again"),
        ):
            lines += named(names, what)
        for (code, sentence), count in sorted(self.sentences.items(), key=lambda item: -item[1])[:MOST_SENTENCES]:
            lines.append(f"  {count} {code}: {sentence}")
        if self.other_settings:
            lines.append(f"{self.other_settings} pictures in the folder were made with other settings")
        lines += self.trouble
        lines += self.unclean
        if not self.ran:
            lines.append("nothing was left to do; no server was asked")
        elif not self.unclean:
            servers = f"{self.servers} server{'s' if self.servers != 1 else ''}"
            lines.append(f"clean: of the photographs, runs and results nothing is left on {servers}")
        if self.interrupted:
            lines.append("interrupted: run the same command to go on")
        return "\n".join(lines)

    def line(self) -> str:
        """The counts as one line of JSON, without a name."""
        found = self.survey
        changes = {key: len(getattr(found, key)) for key in ("new", "replaced", "removed", "lost")}
        return json.dumps(
            {
                "inputs": sum(self.counts.values()),
                **self.counts,
                **changes,
                "duplicates": found.duplicates,
                "not_clean": len(self.unclean),
                "interrupted": self.interrupted,
                "exit_code": self.exit_code(),
            }
        )


def named(names: Sequence[str], what: str) -> list[str]:
    """Lines that say how many inputs there are of a kind, and which; none if there is none."""
    if not names:
        return []
    more = [f"  and {len(names) - MOST_NAMES} more"] if len(names) > MOST_NAMES else []
    return [f"{len(names)} {what}:", *(f"  {name}" for name in names[:MOST_NAMES]), *more]
