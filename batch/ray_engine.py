"""Servers on a Ray cluster: one ComfyUI for each GPU, started by an actor, with the guarantees of any other server.

Nothing listens on a network: requests reach ComfyUI through Ray. The actors end with the command, and with them what
they had in memory. If one dies, its jobs go to the others, and Ray is asked for another one in its place. Ray is
imported only here, and only when a server is wanted.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import BaseAdapter

from .client import Client
from .own_server import UP_WITHIN, OwnServerError
from .ray_actor import PIECE, ComfyActor
from .workflow import PACK

HOST = ".ray.invalid"
"""Ends the names of these servers, which no other way leads to."""

STARTS = 3
"""How often a cluster of this machine alone is started before it is given up: Ray waits 30 s for its processes, and a
busy machine may take longer."""

CONCURRENT = 16
"""Calls that an actor answers at a time."""

_TICK = 0.2

logger = logging.getLogger(__name__)

_NO_TELEMETRY = {"RAY_USAGE_STATS_ENABLED": "0"}


def connect(address: str) -> ModuleType:
    """Join a cluster, or start one of this machine alone.

    Args:
        address: of a cluster as Ray takes it, such as "auto" or "10.0.0.1:6379"; "" starts one.

    Returns:
        Ray's module.

    Raises:
        OwnServerError: Ray is not installed, or the cluster cannot be reached.
    """
    os.environ.update(_NO_TELEMETRY)
    try:
        import ray
    except ImportError as error:
        raise OwnServerError(
            f"{error}; --engine ray needs Ray: `python -m pip install ray`, with the Python that runs this command"
        ) from None
    environment = {"PYTHONPATH": str(PACK)}
    if "COMFYUI" in os.environ:
        environment["COMFYUI"] = os.environ["COMFYUI"]
    for tries_left in reversed(range(1 if address else STARTS)):
        try:
            ray.init(
                address=address or "local",
                include_dashboard=None if address else False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": environment},
            )
            break
        except Exception as error:  # noqa: BLE001 - Ray raises bare exceptions too
            ray.shutdown()
            if not tries_left:
                raise OwnServerError(
                    f"there is no Ray cluster at {address or 'this machine'}: {error}; start one with `ray start "
                    "--head`, or leave out --ray-address"
                ) from None
    return ray


def disconnect() -> None:
    """Leave the cluster, if this process joined one; one of this machine alone ends."""
    ray = sys.modules.get("ray")
    if ray is not None and ray.is_initialized():
        ray.shutdown()


def is_over(url: str) -> bool:
    """Whether an address is that of an actor: none is left once its command has ended or has replaced it."""
    return (urlsplit(url).hostname or "").endswith(HOST)


def servers(ray: ModuleType, count: int, arguments: Sequence[str]) -> list[RayServer]:
    """The servers that a cluster has room for; they start when they are needed.

    Args:
        ray: from `connect`.
        count: how many; 0 for one on each of its GPUs, or one if it has none.
        arguments: added to ComfyUI's command line.
    """
    graphics = int(ray.cluster_resources().get("GPU", 0))
    return [RayServer(ray, arguments, min(graphics, 1)) for _ in range(count or max(graphics, 1))]


class RayServer:
    """A ComfyUI wherever the cluster has room for it, as `own_server.OwnServer`.

    Args:
        ray: Ray's module.
        arguments: added to ComfyUI's command line.
        graphics: GPUs that it needs, 0 or 1.

    Attributes:
        url: of the actor that runs, or ran last.
    """

    name = "a ComfyUI on the Ray cluster"

    def __init__(self, ray: ModuleType, arguments: Sequence[str], graphics: int) -> None:
        self._ray = ray
        self._arguments = list(arguments)
        self._kind = ray.remote(ComfyActor).options(num_cpus=1, num_gpus=graphics, max_concurrency=CONCURRENT)
        self._actor: Any = None
        self.url = ""

    def start(self, over: Callable[[], bool]) -> None:
        """Start an actor with its ComfyUI, in place of one that is still there, and wait until it answers.

        Args:
            over: whether to wait no longer.

        Raises:
            OwnServerError: it did not start.
        """
        self.stop()
        self._actor = self._kind.remote(self._arguments)
        self.url = f"http://{secrets.token_hex(8)}{HOST}"
        started = self._actor.start.remote()
        deadline = time.monotonic() + UP_WITHIN
        while not over():
            if time.monotonic() > deadline:
                raise OwnServerError(
                    f"{self.name} did not answer within {UP_WITHIN:g} s: the cluster has no room for it, or the pack "
                    "and ComfyUI are not in the same folders on its machines"
                )
            ready, _ = self._ray.wait([started], timeout=_TICK)
            if ready:
                try:
                    self._ray.get(started)
                except self._ray.exceptions.RayError as error:
                    cause = error.as_instanceof_cause() if hasattr(error, "as_instanceof_cause") else error
                    raise OwnServerError(f"{self.name} did not start: {cause}") from None
                return

    def runs(self) -> bool:
        """Whether the actor and its process are there."""
        if self._actor is None:
            return False
        try:
            return bool(self._ray.get(self._actor.runs.remote(), timeout=10))
        except self._ray.exceptions.RayError:
            return False

    def client(self, answer_within: float) -> Client:
        """A client that reaches it through Ray."""
        return Client(self.url, answer_within, RayAdapter(self._ray, self._actor))

    def stop(self) -> None:
        """End ComfyUI and the actor."""
        if self._actor is None:
            return
        try:
            self._ray.get(self._actor.stop.remote(), timeout=30)
        except self._ray.exceptions.RayError as error:
            # The actor's keeper ends ComfyUI with it.
            logger.debug("%s did not end by itself: %s", self.name, error)
        self._ray.kill(self._actor)
        self._actor = None


class RayAdapter(BaseAdapter):
    """Sends what `requests` prepared to an actor instead of an address.

    Args:
        ray: Ray's module.
        actor: handle of a `ComfyActor`.
    """

    def __init__(self, ray: ModuleType, actor: Any) -> None:
        super().__init__()
        self._ray = ray
        self._actor = actor

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: bytes | str | tuple[bytes | str, bytes | str] | None = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Send a request and wait for the answer.

        Raises:
            requests.ConnectionError: the actor, or its ComfyUI, does not answer.
        """
        within = timeout[1] if isinstance(timeout, tuple) else timeout
        seconds = 60.0 if within is None else float(within)
        try:
            return self._sent(request, seconds)
        except (self._ray.exceptions.RayError, ConnectionError) as error:
            raise requests.ConnectionError(type(error).__name__, request=request) from None

    def close(self) -> None:
        """Nothing is open."""

    def _sent(self, request: requests.PreparedRequest, seconds: float) -> requests.Response:
        actor, get = self._actor, self._ray.get
        body = request.body or b""
        if not isinstance(body, bytes | str):
            raise TypeError(f"the body of a request is a {type(body).__name__}; expected bytes or text")
        content = body.encode() if isinstance(body, str) else body
        key = secrets.token_hex(8) if content else ""
        for start in range(0, len(content), PIECE):
            get(actor.take.remote(key, content[start : start + PIECE]), timeout=seconds)
        asked = actor.ask.remote(request.method, request.path_url, dict(request.headers), key, seconds)
        # The actor notices by itself when ComfyUI hangs.
        answer = get(asked, timeout=seconds + 30)
        pieces = [answer.start]
        for start in range(PIECE, answer.size, PIECE):
            pieces.append(get(actor.piece.remote(answer.key, start), timeout=seconds))
        response = requests.Response()
        response.status_code = answer.status
        response.headers = requests.structures.CaseInsensitiveDict(answer.headers)
        response._content = b"".join(pieces)
        response.url, response.request = str(request.url), request
        response.encoding = requests.utils.get_encoding_from_headers(response.headers)
        return response
