"""Load a FaceID adapter onto a model."""

from __future__ import annotations

import folder_paths
from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io

from ..host.identity_adapter import attach_adapter
from ..host.model_folders import IPADAPTER_FOLDER, adapter_files
from .sockets import CATEGORY, SEARCH_ALIASES


class ReverseIdentityAdapterLoader(io.ComfyNode):
    """MODEL + a FaceID file -> MODEL whose cross-attention sees identities."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityAdapterLoader",
            display_name="Load Identity Adapter (FaceID)",
            category=CATEGORY,
            description=(
                "Attaches an IP-Adapter FaceID file, with the LoRA inside it, to an SDXL or SD1.5 model. "
                "Inversion and sampling need the same adapter."
            ),
            search_aliases=[*SEARCH_ALIASES, "IP-Adapter", "IPAdapter", "FaceID"],
            inputs=[
                io.Model.Input("model", tooltip="SDXL or SD1.5. LoRAs and other patches may come before or after."),
                io.Combo.Input(
                    "adapter_name",
                    options=adapter_files(),
                    tooltip=(
                        "FaceID file of the model's family from models/ipadapter: ip-adapter-faceid_sdxl.bin or "
                        "ip-adapter-faceid_sd15.bin (.bin or .safetensors; not Plus, not Portrait). The published "
                        "FaceID weights are licensed for non-commercial research."
                    ),
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=0.0,
                    max=5.0,
                    step=0.05,
                    tooltip=(
                        "How strongly the identity acts on the model, 1 in the paper. The file's LoRA is always "
                        "applied in full, because the adapter was trained with it."
                    ),
                ),
            ],
            outputs=[io.Model.Output(tooltip="The model with the adapter, for both inversion and sampling.")],
        )

    @classmethod
    def execute(cls, model: ModelPatcher, adapter_name: str, weight: float) -> io.NodeOutput:
        """Attach the adapter to a copy of the model."""
        path = folder_paths.get_full_path_or_raise(IPADAPTER_FOLDER, adapter_name)
        return io.NodeOutput(attach_adapter(model, path, adapter_name, weight))
