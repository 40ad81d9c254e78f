"""The journal's speed and size are measured on what a batch writes, and a measurement goes on where it was."""

from __future__ import annotations

import pytest

from batch.journal import DONE, Journal
from lab.chaos import scale
from lab.chaos.scale import SETTINGS, measure


def test_the_journal_of_a_batch_is_written_and_read_again(tmp_path):
    figures = measure(tmp_path, 20)
    assert figures["jobs"] == 20
    assert figures["bytes_a_job"] > 100
    rates = ("inputs_a_second", "jobs_a_second", "first_tenth", "last_tenth", "processor_seconds_a_job")
    assert min(figures[rate] for rate in rates) > 0
    assert figures["seconds_to_resume"] >= 0
    assert figures["megabytes"] > 10


@pytest.mark.parametrize("results", [False, True])
def test_nothing_counts_as_left_on_a_server_at_the_end(tmp_path, results):
    measure(tmp_path, 20, results=results)
    journal = Journal(tmp_path)
    assert journal.traces() == []
    records = [journal.job(scale._photograph(number), SETTINGS) for number in range(20)]
    assert {record.state for record in records} == {DONE}
    assert sorted(record.written.number for record in records) == list(range(1, 21))
    assert journal.given_inputs() == [scale._name(number) for number in range(20)]
    assert len(list(tmp_path.glob("anonymised-*.png"))) == (20 if results else 0)


def test_a_measurement_that_ended_goes_on(tmp_path, monkeypatch):
    write, written = scale.write_job, []

    def interrupted(journal, number, folder):
        if len(written) == 12:
            raise KeyboardInterrupt
        written.append(number)
        write(journal, number, folder)

    monkeypatch.setattr(scale, "write_job", interrupted)
    with pytest.raises(KeyboardInterrupt):
        measure(tmp_path, 20, 2)
    monkeypatch.setattr(scale, "write_job", lambda *job: written.append(job[1]) or write(*job))
    assert measure(tmp_path, 20, 2)["jobs"] == 20
    assert sorted(written) == list(range(20))
    with pytest.raises(ValueError, match="belongs to another run"):
        measure(tmp_path, 21, 2)
