"""The pack's own wire types as V3 sockets, and what all its nodes share in the menu."""

from __future__ import annotations

from comfy_api.latest import io

CATEGORY = "reverse personalization"

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

FacesSocket = io.Custom("FACES")
"""Carries `reverse_personalization.geometry.faces.Faces`."""

NoiseTrajectorySocket = io.Custom("NOISE_TRAJECTORY")
"""Carries `reverse_personalization.method.trajectory.NoiseTrajectory`."""

FacePlacementsSocket = io.Custom("FACE_PLACEMENTS")
"""Carries `reverse_personalization.geometry.placement.Placements`."""

RetryAttemptsSocket = io.Custom("RETRY_ATTEMPTS")
"""Carries `reverse_personalization.assurance.retry.Attempts`."""

IdentityVerdictSocket = io.Custom("IDENTITY_VERDICT")
"""Carries `reverse_personalization.assurance.verdict.Verdict`."""
