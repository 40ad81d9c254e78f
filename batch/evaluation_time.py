"""Measures how long a server takes for one evaluation of the network, on a black square: no photograph is changed."""

from __future__ import annotations

import uuid
from typing import Any

from .cleaning import clean
from .estimate import CHANGING
from .face_search import seconds_of
from .job import Runner
from .journal import RUN, Trace
from .servers import Server
from .workflow import PREVIEW, Graph, Prepared, is_link, needed_by

CROPS = "ReverseIdentityFaceCrop"

STEPS = 4
"""By how many evaluations the two runs differ that are compared."""


def timing_graph(prepared: Prepared) -> Graph | None:
    """A graph that samples with the workflow's model at the size of its crops; None if that cannot be told apart.

    Returns:
        The graph; of its node "sampling", `steps` is the number of evaluations.
    """
    graph = prepared.graph
    for node in graph.values():
        links = [node["inputs"].get(name) for name in ("model", "source")]
        if node["class_type"] in CHANGING and all(map(is_link, links)):
            break
    else:
        return None
    vae = next((one["inputs"]["vae"] for one in graph.values() if is_link(one["inputs"].get("vae"))), None)
    side = next((one["inputs"].get("side") for one in graph.values() if one["class_type"] == CROPS), None)
    if vae is None or not isinstance(side, int):
        return None
    model, text = links
    needed = needed_by(graph, *(str(link[0]) for link in (model, text, vae)))
    if prepared.loader in needed:
        return None
    sampling = {"seed": 0, "steps": 1, "cfg": 1.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        **{key: graph[key] for key in graph if key in needed},
        "square": _node("EmptyImage", width=side, height=side, batch_size=1, color=0),
        "latent": _node("VAEEncode", pixels=["square", 0], vae=vae),
        "sampling": _node(
            "KSampler", model=model, positive=text, negative=text, latent_image=["latent", 0], **sampling
        ),
        "shown": _node(PREVIEW, source=["sampling", 0]),
    }


def _node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def measure(graph: Graph, runner: Runner, server: Server) -> float | None:
    """Seconds that a server takes for one evaluation of one row; None if a run fails or the server has no clock.

    Args:
        graph: from `timing_graph`.
        runner: of the batch.
        server: answers.

    Raises:
        ServerLostError: the server does not answer.
        RejectedError: it does not take the graph.
        TimeoutError: it takes too long.
        StoppedError: the batch is being interrupted.
    """
    # The first run loads the model.
    _timed(graph, runner, server, 0, 1)
    short = _timed(graph, runner, server, 1, 1)
    long = _timed(graph, runner, server, 2, 1 + STEPS)
    if short is None or long is None or long <= short:
        return None
    return (long - short) / STEPS


def _timed(graph: Graph, runner: Runner, server: Server, seed: int, steps: int) -> float | None:
    """Seconds of a run. Another seed keeps the server from taking the result from its cache."""
    sampling = graph["sampling"]
    inputs = {**sampling["inputs"], "seed": seed, "steps": steps}
    run = str(uuid.uuid4())
    client = server.client
    trace = Trace(client.url, RUN, run, server.own is not None)
    runner.journal.leave(trace)
    try:
        client.queue({**graph, "sampling": {**sampling, "inputs": inputs}}, run)
        entry = runner.wait(client, run, lambda: False)
    finally:
        runner.journal.abandon([trace])
    took = seconds_of(entry)
    clean(client, runner.journal, [trace])
    return took
