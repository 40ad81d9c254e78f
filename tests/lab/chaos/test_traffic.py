"""What a batch sends besides photographs and results is counted on a real server."""

from __future__ import annotations

import pytest

from lab.chaos.traffic import measure

pytestmark = pytest.mark.server


def test_a_job_costs_some_requests_and_kilobytes(tmp_path):
    figures = measure(tmp_path, 3, 1)
    assert figures["jobs"] == 3
    # Photograph, run, result and their deletion, each a request at least.
    assert 8 < figures["requests_a_job"] < 300
    assert 1_000 < figures["sent_a_job"] < 100_000
    assert 1_000 < figures["received_a_job"] < 1_000_000
