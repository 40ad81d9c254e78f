"""The journal's speed and size are measured on what a batch writes."""

from __future__ import annotations

from batch.journal import DONE, Journal
from lab.chaos.scale import SETTINGS, measure


def test_the_journal_of_a_batch_is_written_and_read_again(tmp_path):
    figures = measure(tmp_path, 20)
    assert figures["jobs"] == 20
    assert figures["bytes_a_job"] > 100
    rates = ("inputs_a_second", "jobs_a_second", "first_tenth", "last_tenth", "processor_seconds_a_job")
    assert min(figures[rate] for rate in rates) > 0
    assert figures["seconds_to_resume"] >= 0


def test_nothing_counts_as_left_on_a_server_at_the_end(tmp_path):
    measure(tmp_path, 20)
    journal = Journal(tmp_path)
    assert journal.traces() == []
    assert {record.state for record in journal.jobs(SETTINGS).values()} == {DONE}
    assert sorted(record.written.number for record in journal.jobs(SETTINGS).values()) == list(range(1, 21))
