"""Load Folder: the photographs of a folder as people see them, in order, without those that cannot be read."""

from __future__ import annotations

from pathlib import Path

import comfy.model_management
import comfy.utils
import torch
from comfy_api.latest import io

from ..host.input_folder import chosen_path, folder_names, secret_digest
from ..reverse_personalization.photographs.folder import SUFFIXES, photographs_in, state_of
from ..reverse_personalization.photographs.reading import UnreadablePhotographError, read_photograph
from .sockets import CATEGORY, SEARCH_ALIASES

_ABSENT = "the folder is not below ComfyUI's input folder: make it there, put the photographs into it, and choose it"


class ReverseIdentityLoadFolder(io.ComfyNode):
    """Folder -> list of IMAGE, list of file names, and a report."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        """Describe the node."""
        return io.Schema(
            node_id="ReverseIdentityLoadFolder",
            display_name="Load Folder of Photographs",
            category=CATEGORY,
            description=(
                "Loads the photographs of a folder one by one, in the order of their names, each in its own size and "
                "as people see it. Those that cannot be read are reported and left out. Notices new, changed and "
                "removed photographs."
            ),
            search_aliases=[*SEARCH_ALIASES, "load images", "batch", "directory", "EXIF", "dataset"],
            inputs=[
                io.Combo.Input(
                    "folder",
                    options=folder_names(),
                    tooltip="A folder below ComfyUI's input folder. Folders inside it are not searched.",
                ),
                io.Int.Input(
                    "first",
                    optional=True,
                    default=1,
                    min=1,
                    max=1_000_000,
                    tooltip="Number of the first photograph to load, in the order of their names.",
                ),
                io.Int.Input(
                    "count",
                    optional=True,
                    default=0,
                    min=0,
                    max=1_000_000,
                    tooltip=(
                        "How many to load; 0 for all. They are in memory together, about 150 MB for 12 megapixels: "
                        "load a large folder in parts."
                    ),
                ),
            ],
            outputs=[
                io.Image.Output(
                    display_name="images", is_output_list=True, tooltip="The photographs in sRGB, each in its own size."
                ),
                io.String.Output(
                    display_name="names",
                    is_output_list=True,
                    tooltip="The file name of each, for a list of your own that says which result is whose. Private.",
                ),
                io.String.Output(
                    display_name="report",
                    tooltip="What was converted, and which photographs could not be read, by number. Contains no name.",
                ),
            ],
        )

    @classmethod
    def validate_inputs(cls, folder: str | None = None) -> bool | str:
        """Refuse a folder that is not there, as soon as the graph is queued; None stands for a linked input."""
        return True if folder is None or _is_folder(chosen_path(folder)) else _ABSENT

    @classmethod
    def fingerprint_inputs(cls, folder: str | None = None, first: int | None = 1, count: int | None = 0) -> str:
        """Tell whether a photograph was added, removed, renamed, replaced or changed."""
        path = None if folder is None else chosen_path(folder)
        if path is None or not path.is_dir():
            return ""
        return secret_digest(repr(state).encode() for state in state_of(photographs_in(path)))

    @classmethod
    def execute(cls, folder: str, first: int = 1, count: int = 0) -> io.NodeOutput:
        """Read the photographs.

        Args:
            folder: relative to the host's input folder.
            first: number of the first photograph, from 1.
            count: most photographs to read; 0 for all.

        Returns:
            For each photograph that could be read IMAGE float32 [1, H, W, 3] in [0, 1] and its file name, in the order
            of the names; and the report, a line for each photograph that was converted or left out.

        Raises:
            ValueError: the folder is not there, has no photographs from `first` on, or none of them can be read.
        """
        path = chosen_path(folder)
        if path is None or not path.is_dir():
            raise ValueError(_ABSENT)
        every = photographs_in(path)
        if len(every) < first:
            raise ValueError(
                f"the folder has {len(every)} photographs ({', '.join(SUFFIXES)}), but the first to load is number "
                f"{first}: put photographs into it, or choose a lower first"
            )
        chosen = every[first - 1 : first - 1 + count] if count else every[first - 1 :]
        images, names, lines = [], [], []
        progress = comfy.utils.ProgressBar(len(chosen))
        for number, file in enumerate(chosen, start=first):
            comfy.model_management.throw_exception_if_processing_interrupted()
            try:
                photograph = read_photograph(file.read_bytes())
            except UnreadablePhotographError as error:
                lines.append(f"photograph {number} was left out: {error}")
            except OSError as error:
                lines.append(f"photograph {number} was left out: its file cannot be read ({error.strerror})")
            else:
                images.append(torch.from_numpy(photograph.pixels)[None])
                names.append(file.name)
                if photograph.notes:
                    lines.append(f"photograph {number}: {'; '.join(photograph.notes)}")
            progress.update(1)
        if not images:
            raise ValueError("none of the photographs could be read:\n" + "\n".join(lines))
        summary = f"{len(images)} of {len(chosen)} photographs were loaded"
        return io.NodeOutput(images, names, "\n".join([summary, *lines]))


def _is_folder(path: Path | None) -> bool:
    return path is not None and path.is_dir()
