"""ComfyUI Reverse Personalization: make people unrecognisable and leave everything else as it was."""

from __future__ import annotations

from .host.release import require_host

require_host()

from comfy_api.latest import ComfyExtension, io

from .host.freeing import close_when_the_host_frees
from .host.model_folders import register_model_folders
from .host.node_ids import report_taken_ids
from .host.routes import add_routes
from .nodes.attribute_prompt import AttributePrompt
from .nodes.compose import NoiseTrajectorySampler, NoiseTrajectorySigmas, ReverseIdentityGuider
from .nodes.dpm_solver_inversion import DPMSolverInversion
from .nodes.face_cover import FaceCover
from .nodes.face_crop import FaceCrop
from .nodes.face_embed import FaceEmbed
from .nodes.face_paste import FacePaste
from .nodes.face_region_mask import FaceRegionMask
from .nodes.identity_adapter_loader import IdentityAdapterLoader
from .nodes.identity_check import IdentityCheck
from .nodes.keep_region import KeepRegion
from .nodes.reverse_identity_ksampler import ReverseIdentityKSampler
from .nodes.reverse_identity_ladder import ReverseIdentityLadder
from .nodes.save_anonymized_image import SaveAnonymizedImage

WEB_DIRECTORY = "./js"
"""What the host serves to the editor."""

NODES: tuple[type[io.ComfyNode], ...] = (
    IdentityAdapterLoader,
    FaceEmbed,
    FaceCrop,
    FacePaste,
    AttributePrompt,
    DPMSolverInversion,
    ReverseIdentityKSampler,
    ReverseIdentityGuider,
    NoiseTrajectorySampler,
    NoiseTrajectorySigmas,
    IdentityCheck,
    FaceCover,
    SaveAnonymizedImage,
    KeepRegion,
    FaceRegionMask,
    ReverseIdentityLadder,
)


class ReversePersonalization(ComfyExtension):
    """The pack's nodes."""

    async def on_load(self) -> None:
        """Tell the host where adapters and face models are, answer the editor, and report ids that others use too."""
        register_model_folders()
        add_routes()
        close_when_the_host_frees()
        report_taken_ids([node.define_schema().node_id for node in NODES])

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes."""
        return list(NODES)


async def comfy_entrypoint() -> ReversePersonalization:
    """Called by ComfyUI when it loads the pack."""
    return ReversePersonalization()
