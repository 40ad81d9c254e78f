"""The pack's own wire types as V3 sockets, and the categories and search words of its nodes."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "reverse personalization"

COMPOSE_CATEGORY = f"{CATEGORY}/compose"
"""Category of the sampler's parts, for the host's SamplerCustomAdvanced."""

SEARCH_ALIASES = [
    "anonymize",
    "anonymise",
    "de-identify",
    "privacy",
    "GDPR",
    "face",
    "redact",
    "reverse personalization",
]

FacesSocket = io.Custom("REVERSE_IDENTITY_FACES")
"""Carries `reverse_personalization.geometry.faces.Faces`."""

NoiseTrajectorySocket = io.Custom("REVERSE_IDENTITY_TRAJECTORY")
"""Carries `reverse_personalization.method.trajectory.NoiseTrajectory`."""

FacePlacementsSocket = io.Custom("REVERSE_IDENTITY_PLACEMENTS")
"""Carries `reverse_personalization.geometry.placement.Placements`."""

RetriesSocket = io.Custom("REVERSE_IDENTITY_RETRIES")
"""Carries `reverse_personalization.assurance.retry.Retries`."""

IdentityTargetSocket = io.Custom("REVERSE_IDENTITY_TARGET")
"""Carries `reverse_personalization.method.target.IdentityTarget`."""

IdentityVerdictSocket = io.Custom("REVERSE_IDENTITY_VERDICT")
"""Carries `reverse_personalization.assurance.verdict.Verdict`."""

DETECTIONS = [io.Custom(name) for name in ("BOUNDING_BOX", "BOUNDING_BOXES", "FACE_LANDMARKS", "SEGS")] + [io.String]
"""Types of other packs' detectors that `reverse_personalization.geometry.detections` reads."""


def retry_outputs() -> list[io.Output]:
    """Outputs of the nodes that retry over scales."""
    return [
        io.Image.Output("crops", tooltip="One result for each input crop; grey if none came out finite."),
        io.String.Output("report", tooltip="The scales tried on each face, and the similarity at each."),
        RetriesSocket.Output("retries", tooltip="The same for Identity Check, which passes it on to the saved report."),
    ]
