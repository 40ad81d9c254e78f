"""The journal's speed and size are measured on what a batch writes."""

from __future__ import annotations

from lab.chaos.scale import measure


def test_the_journal_of_a_batch_is_written_and_read_again(tmp_path):
    figures = measure(tmp_path, 20)
    assert figures["jobs"] == 20
    assert figures["bytes_a_job"] > 100
    assert min(figures["jobs_a_second"], figures["first_tenth"], figures["last_tenth"]) > 0
    assert figures["seconds_to_resume"] >= 0
