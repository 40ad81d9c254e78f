"""What `--dry-run` says: what there is to do, the faces of every photograph, and how long the whole would take."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from . import summary
from .codes import FAILED, STATUSES
from .dry_run import Seen
from .estimate import Duration
from .forecast import count
from .summary import named
from .survey import Survey

UNKNOWN = "how long the whole would take cannot be told: no server said how long an evaluation takes"


def listing(found: Survey) -> str:
    """What there is to do."""
    lines = [f"{len(found.photographs)} inputs, {len(found.jobs)} photographs to run, {found.done} inputs done"]
    lines += named(found.new, "new") + named(found.replaced, "replaced since the last run")
    lines += named(found.removed, "no longer among the inputs")
    lines += named(found.lost, "whose result is not there any more")
    lines += named(list(found.unreadable), "that cannot be read")
    lines += [f"{found.duplicates} show a photograph that another input shows"] if found.duplicates else []
    return "\n".join(lines)


@dataclass(frozen=True)
class Plan:
    """What a dry run came to.

    Attributes:
        survey: of the inputs.
        seen: what was found in the photographs that are to be run.
        time: how long the whole would take, and what that is reckoned from; None if nothing is known.
    """

    survey: Survey
    seen: Seen
    time: tuple[Duration, str] | None

    def text(self) -> str:
        """All of it for people. It names inputs, so it is for the caller alone."""
        if not self.survey.jobs:
            return "nothing is left to do; no server was asked"
        lines = list(self._photographs())
        counts = self._counts()
        faces, doubtful = self._faces()
        lines.append(
            f"{count(faces, 'face')}, {doubtful} of them doubtful; would end as: "
            + ", ".join(f"{counts[one]} {one}" for one in STATUSES)
        )
        if self.time is not None:
            took, why = self.time
            lines.append(f"would take {took} on {count(self.seen.servers, 'server')}: {why}")
        elif self.seen.found:
            lines.append(UNKNOWN)
        lines += self.seen.trouble
        if self.seen.interrupted:
            lines.append("interrupted: these are not all photographs")
        lines.append(
            "nothing was changed or saved" + ("" if self.seen.trouble else ", and nothing is left on the servers")
        )
        return "\n".join(lines)

    def line(self) -> str:
        """The counts as one line of JSON, without a name."""
        faces, doubtful = self._faces()
        seconds = None if self.time is None else [round(self.time[0].least, 1), round(self.time[0].most, 1)]
        return json.dumps(
            {
                "inputs": len(self.survey.photographs),
                "photographs": len(self.survey.jobs),
                "done": self.survey.done,
                **self._counts(),
                "faces": faces,
                "doubtful": doubtful,
                "seconds": seconds,
                "interrupted": self.seen.interrupted,
                "exit_code": self.exit_code(),
            }
        )

    def exit_code(self) -> int:
        """What the process ends with: photographs that would be blocked are no failure of the dry run."""
        if self.seen.interrupted:
            return summary.INTERRUPTED
        return summary.SOME_FAILED if self._counts()[FAILED] else summary.OK

    def _photographs(self) -> Iterator[str]:
        for name, photograph in self.survey.photographs.items():
            outcome = None if photograph is None else self.seen.outcomes.get(photograph)
            if outcome is not None:
                faces = self.seen.found.get(str(photograph))
                yield f"{name}: {outcome.sentence}" if faces is None else f"{name}: {faces}; {outcome.sentence}"

    def _counts(self) -> dict[str, int]:
        """Photographs by the status that they would end with."""
        counts = dict.fromkeys(STATUSES, 0)
        counts[FAILED] = len(self.survey.unreadable)
        for outcome in self.seen.outcomes.values():
            counts[outcome.status] += 1
        return counts

    def _faces(self) -> tuple[int, int]:
        found = self.seen.found.values()
        return sum(one.faces for one in found), sum(len(one.doubtful) for one in found)
