"""ComfyUI Reverse Personalization: make people unrecognisable and leave everything else as it was."""

from __future__ import annotations

from .host.release import require_host

require_host()

from comfy_api.latest import ComfyExtension, io

from .host.freeing import close_when_the_host_frees
from .host.model_folders import register_model_folders
from .host.node_ids import report_taken_ids
from .host.queued_graph import watch_the_queue
from .host.routes import add_routes
from .host.sample import provide_samples
from .nodes.attribute_prompt import AttributePrompt
from .nodes.ddim_inversion import ReverseIdentityDDIMInversion
from .nodes.dpm_solver_inversion import DPMSolverInversion
from .nodes.face_cover import ReverseIdentityFaceCover
from .nodes.face_crop import ReverseIdentityFaceCrop
from .nodes.face_embed import FaceEmbed
from .nodes.face_paste import ReverseIdentityFacePaste
from .nodes.face_region_mask import ReverseIdentityRegionMask
from .nodes.identity_adapter_loader import ReverseIdentityAdapterLoader
from .nodes.identity_check import ReverseIdentityCheck
from .nodes.identity_edit import ReverseIdentityEdit
from .nodes.identity_edit_retry import ReverseIdentityEditRetry
from .nodes.identity_target import ReverseIdentityTarget
from .nodes.keep_region import ReverseIdentityKeepRegion
from .nodes.load_folder import ReverseIdentityLoadFolder
from .nodes.load_photograph import ReverseIdentityLoadPhotograph
from .nodes.pseudonym import ReverseIdentityPseudonym
from .nodes.replay_sampler import ReverseIdentityReplaySampler
from .nodes.replay_sigmas import ReverseIdentityReplaySigmas
from .nodes.retry_sampler import ReverseIdentityRetrySampler
from .nodes.reverse_identity_guider import ReverseIdentityGuider
from .nodes.reverse_identity_ksampler import ReverseIdentityKSampler
from .nodes.save_anonymized_image import ReverseIdentitySaveImage
from .nodes.scale_sweep import ReverseIdentityScaleSweep
from .nodes.second_pass import ReverseIdentitySecondPass

WEB_DIRECTORY = "./js"
"""What the host serves to the editor."""

NODES: tuple[type[io.ComfyNode], ...] = (
    ReverseIdentityAdapterLoader,
    FaceEmbed,
    ReverseIdentityFaceCrop,
    ReverseIdentityFacePaste,
    AttributePrompt,
    ReverseIdentityEdit,
    ReverseIdentityEditRetry,
    DPMSolverInversion,
    ReverseIdentityKSampler,
    ReverseIdentityGuider,
    ReverseIdentityReplaySampler,
    ReverseIdentityReplaySigmas,
    ReverseIdentityCheck,
    ReverseIdentitySecondPass,
    ReverseIdentityFaceCover,
    ReverseIdentitySaveImage,
    ReverseIdentityKeepRegion,
    ReverseIdentityRegionMask,
    ReverseIdentityRetrySampler,
    ReverseIdentityLoadPhotograph,
    ReverseIdentityLoadFolder,
    ReverseIdentityDDIMInversion,
    ReverseIdentityTarget,
    ReverseIdentityPseudonym,
    ReverseIdentityScaleSweep,
)


class ReversePersonalization(ComfyExtension):
    """The pack's nodes."""

    async def on_load(self) -> None:
        """Register folders, routes, checks of the queue and the closing of face models; put the samples in place."""
        register_model_folders()
        add_routes()
        provide_samples()
        watch_the_queue()
        close_when_the_host_frees()
        report_taken_ids([node.define_schema().node_id for node in NODES])

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes."""
        return list(NODES)


async def comfy_entrypoint() -> ReversePersonalization:
    """Called by ComfyUI when it loads the pack."""
    return ReversePersonalization()
