"""Where the miniature's files lie. Standard library only: the demo reads this outside the environment."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent

WEIGHTS = FOLDER / "weights"
"""The trained models, in the layout of ComfyUI's models folder."""

EXTENSION = FOLDER / "host_extension"
"""The custom node package by which ComfyUI recognises the miniature's checkpoint."""

# All paths are below a models folder.
CHECKPOINT = Path("checkpoints") / "miniature.safetensors"
ADAPTER = Path("ipadapter") / "ip-adapter-faceid_miniature.bin"
FACE_PACK = Path("insightface") / "models" / "miniature"
JUDGE_PACK = FACE_PACK.with_name("miniature-judge")
"""The pack that scores and never guides. It is always trained: there is none with random weights."""

FULL_SIZE_CHECKPOINT = Path("checkpoints") / "sdxl_random.safetensors"
FULL_SIZE_ADAPTER = Path("ipadapter") / "ip-adapter-faceid_sdxl_random.bin"
"""What `miniature.full_size` writes."""
