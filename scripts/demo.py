"""Anonymises a portrait in a real ComfyUI that it sets up itself: `python3 scripts/demo.py`.

The first run needs a Python and a network, nothing else. Without arguments it runs on the miniature, a set of small
models of rendered faces, and saves pictures side by side: before and after, an attribute changed, and the person at
several guidance scales. For real faces, name a folder with your ComfyUI's models and the files in it:

    python3 scripts/demo.py --models ~/ComfyUI/models --checkpoint sd_xl_base_1.0.safetensors \\
        --adapter ip-adapter-faceid_sdxl.bin --model-pack buffalo_l --gpu --portrait me.jpg
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Python puts this file's own folder on the path, not the clone's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.environment import ROOT, SetupError
from harness.server import WorkflowFailed, WorkflowRejected
from harness.workflow import SHIPPED_FILES, fill_in, read_shipped
from miniature import showcase
from miniature.server import running_server
from miniature.workflow import on_miniature

WORKFLOW = "portrait"
SAMPLE = ROOT / "workflows" / "samples" / "portrait.png"
"""The portrait for real models. The miniature has its own, of the size and kind that it knows."""


def parse_arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--portrait", type=Path, metavar="FILE", help="picture to anonymise (default: a sample)")
    parser.add_argument("--models", type=Path, metavar="DIR", help="another ComfyUI models folder to search")
    parser.add_argument("--checkpoint", metavar="NAME", help="SDXL checkpoint in checkpoints/")
    parser.add_argument("--adapter", metavar="NAME", help="IP-Adapter FaceID file in ipadapter/")
    parser.add_argument("--model-pack", metavar="NAME", help="folder in insightface/models/")
    parser.add_argument("--gpu", action="store_true", help="let ComfyUI choose the device instead of using the CPU")
    parser.add_argument("--keep-running", action="store_true", help="keep the server up until Ctrl+C")
    return parser.parse_args()


class Ticker:
    """Prints how long a run has taken, every few seconds."""

    def __init__(self, interval: float = 5) -> None:
        self.interval = interval
        self._next = interval

    def __call__(self, elapsed: float) -> None:
        """Print a line when the next one is due."""
        if elapsed >= self._next:
            print(f"  running, {elapsed:.0f} s", flush=True)
            self._next += self.interval


def main() -> int:
    """Run the shipped workflow and say where the pictures are."""
    arguments = parse_arguments()
    names = {
        shipped: value
        for option, shipped in SHIPPED_FILES.items()
        if (value := vars(arguments).get(option)) is not None
    }
    is_showcase = not names
    portrait = arguments.portrait or (showcase.PORTRAIT if is_showcase else SAMPLE)
    if not portrait.is_file():
        raise SetupError(f"--portrait {portrait} is not a file; expected a picture.")
    workflow = read_shipped(WORKFLOW)
    if is_showcase:
        workflow = showcase.showcase(on_miniature(workflow))

    with running_server(arguments.models, cpu=not arguments.gpu) as server:
        print(f"Queueing workflows/api/{WORKFLOW}.json on {portrait}", flush=True)
        # A fixed name: a portrait's own file name is often the name of the person.
        image = server.upload(portrait, f"portrait{portrait.suffix}")
        prompt_id = server.queue(fill_in(workflow, image, names))
        history = server.wait(prompt_id, timeout=3600, on_wait=Ticker())
        for path in server.image_files(history):
            print(f"{showcase.title(path) if is_showcase else 'Picture'}: {path}", flush=True)
        if arguments.keep_running:
            print(f"ComfyUI is at {server.url} until you press Ctrl+C", flush=True)
            server.process.wait()
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
    except WorkflowRejected as error:
        sys.exit(f"error: ComfyUI refused the workflow: {error}")
    except WorkflowFailed as error:
        sys.exit(f"error: the workflow failed at {error}")
    except SetupError as error:
        sys.exit(f"error: {error}")
