"""The log of broken batches as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

COLUMNS = ("run", "fault", "strikes", "resumes", "lost", "doubled", "truncated", "left_on_servers", "wrong", "changed")


def as_page(rows: Sequence[Mapping[str, Any]], totals: Mapping[str, int], seed: int) -> str:
    """Write the page.

    Args:
        rows: one for each run.
        totals: their sums, with the numbers of runs and photographs.
        seed: of the runs.
    """
    head = [" | ".join(column.replace("_", " ") for column in COLUMNS), " | ".join("---" for _ in COLUMNS)]
    body = [" | ".join(str(row.get(column, "-")) for column in COLUMNS) for row in rows]
    total = " | ".join(["all", "", "", "", *(str(totals[column]) for column in COLUMNS[4:])])
    table = "\n".join(f"| {line} |" for line in [*head, *body, total])
    return f"""# Broken batches

    python -m lab.chaos --runs {totals["runs"]} --photos {totals["photos"]} --seed {seed}

made this page. Each run is a batch of {totals["photos"]} small photographs through the
[batch command](batch.md) on two real servers with the miniature, with a workflow that only checks. Among the
photographs are copies of others, pictures without people and damaged files. While a run goes on, a fault strikes one
to three times at random moments; then the client is started again until nothing is left to do.

*lost*: inputs that the manifest does not name, or whose result is not there. *doubled*: inputs that it names twice,
and files that belong to none. *truncated*: files that are not what the manifest says. *left on servers*: files,
photographs and results in memory, runs in queue and history. *wrong*: inputs that ended otherwise than they must.
*changed*: results that are not the same bytes as in an earlier run.

{table}
"""
