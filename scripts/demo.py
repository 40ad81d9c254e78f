"""Anonymises a portrait in a real ComfyUI that it sets up itself: `python3 scripts/demo.py`.

Needs a Python and a network for the first run, nothing else. Without arguments it runs on the miniature, small
models of rendered faces, and saves pictures side by side: before and after, an attribute changed, and the person at
several guidance scales. For real faces, name a folder with your ComfyUI's models and the files in it:

    python3 scripts/demo.py --models ~/ComfyUI/models --checkpoint sd_xl_base_1.0.safetensors \\
        --adapter ip-adapter-faceid_sdxl.bin --model-pack buffalo_l --gpu --portrait me.jpg
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Python puts this file's own folder on the path, not the clone's.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from miniature.measuring.settings import DEFAULT_SCALE, DENOISE, FOUND_SCORE, SIDE, STEPS, SWEEP
from scripts import comfyui, environment, showcase
from scripts.comfy_server import ComfyServer, Workflow, WorkflowFailed, WorkflowRejected

WORKFLOW = environment.ROOT / "workflows" / "api" / "portrait.json"
SAMPLE = environment.ROOT / "workflows" / "samples" / "portrait.png"
"""The portrait for real models; the miniature has its own, of the size and kind that it knows."""

REPLACEABLE = {
    "checkpoint": "sd_xl_base_1.0.safetensors",
    "adapter": "ip-adapter-faceid_sdxl.bin",
    "model_pack": "buffalo_l",
    "checker": "antelopev2",
}
"""The files that the shipped workflows name, by the argument that replaces each."""

MINIATURE = {
    "checkpoint": "miniature.safetensors",
    "adapter": "ip-adapter-faceid_miniature.bin",
    "model_pack": "miniature",
    "checker": "miniature-judge",
}
"""The miniature's files in their places."""

MINIATURE_INPUTS: dict[str, dict[str, Any]] = {
    "FaceEmbed": {"threshold": FOUND_SCORE},
    "IdentityCheck": {"det_threshold": FOUND_SCORE},
    "FaceCrop": {"side": SIDE},
    "DPMSolverInversion": {"steps": STEPS, "denoise": DENOISE},
    "ReverseIdentityLadder": {"scales": ", ".join(f"{scale:g}" for scale in SWEEP if scale <= DEFAULT_SCALE)},
}
"""How the miniature is used, by node class: it is smaller than SDXL and obeys weaker scales."""


SDXL_SCALE = -10.0
"""Where the shipped workflows have one scale of guidance, it is this."""

GUIDED = ("ReverseIdentityKSampler", "ReverseIdentityGuider")
SCALED = DEFAULT_SCALE / SDXL_SCALE
"""What the miniature's scales, `cfg` of the classes GUIDED, are of SDXL's."""


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--portrait", type=Path, metavar="FILE", help="the picture to anonymise, else a sample")
    parser.add_argument("--models", type=Path, metavar="DIR", help="a ComfyUI models folder to use as well")
    parser.add_argument("--checkpoint", metavar="NAME", help="an SDXL checkpoint in checkpoints/")
    parser.add_argument("--adapter", metavar="NAME", help="an IP-Adapter FaceID file in ipadapter/")
    parser.add_argument("--model-pack", metavar="NAME", help="a folder in insightface/models/")
    parser.add_argument("--gpu", action="store_true", help="let ComfyUI choose the device, instead of the CPU")
    parser.add_argument("--keep-running", action="store_true", help="leave the server up until Ctrl+C")
    return parser.parse_args()


def renamed(inputs: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Inputs of a node, with each value that is a key of `names` replaced."""
    return {key: names.get(value, value) if isinstance(value, str) else value for key, value in inputs.items()}


def fill_in(workflow: Workflow, image: str, names: dict[str, str]) -> Workflow:
    """The workflow with every LoadImage set to `image`, and each value that is a key of `names` replaced."""
    filled = {}
    for node_id, node in workflow.items():
        inputs = renamed(node["inputs"], names)
        if node["class_type"] == "LoadImage":
            inputs["image"] = image
        filled[node_id] = {**node, "inputs": inputs}
    return filled


def on_miniature(workflow: Workflow) -> Workflow:
    """A shipped workflow with the miniature's files and settings."""
    names = {REPLACEABLE[option]: name for option, name in MINIATURE.items()}
    set_up = {}
    for node_id, node in workflow.items():
        kind = node["class_type"]
        inputs = {**renamed(node["inputs"], names), **MINIATURE_INPUTS.get(kind, {})}
        if kind in GUIDED:
            inputs["cfg"] = round(inputs["cfg"] * SCALED, 2)
        set_up[node_id] = {**node, "inputs": inputs}
    return set_up


def extra_models_config(models: Path, path: Path) -> Path:
    """Write the file that makes ComfyUI look for models in one more folder."""
    if not models.is_dir():
        raise environment.SetupError(f"--models {models} is not a folder; expected a ComfyUI models folder.")
    folders = {name: name for name in ("checkpoints", "ipadapter", "insightface")}
    # JSON is YAML, and quotes every path correctly.
    path.write_text(json.dumps({"demo": {"base_path": str(models.resolve()), **folders}}), encoding="utf-8")
    return path


class Ticker:
    """Prints how long a run takes, every few seconds."""

    def __init__(self, interval: float = 5) -> None:
        self.interval = interval
        self._next = interval

    def __call__(self, elapsed: float) -> None:
        """Print a line when the next one is due."""
        if elapsed >= self._next:
            print(f"  running, {elapsed:.0f} s", flush=True)
            self._next += self.interval


def prepare() -> tuple[Path, Path, Path]:
    """Set everything up; the environment's interpreter, ComfyUI's folder and the server's base directory."""
    environment.check_python()
    environment.provide_venv(environment.VENV)
    python = environment.venv_python(environment.VENV)
    code = comfyui.provide_comfyui(python)
    environment.provide_packages(environment.VENV, code, dev=False)
    workspace = comfyui.provide_workspace()
    comfyui.provide_models(python, code, workspace)
    return python, code, workspace


def running_server(models: Path | None = None, cpu: bool = True) -> ComfyServer:
    """Set everything up and give the server, which is up inside a `with` block. `models`: one more models folder."""
    python, code, workspace = prepare()
    # Save Image would write the workflow, which names the photograph, into the picture.
    extra: list[str | Path] = ["--disable-metadata"]
    if models is not None:
        extra += ["--extra-model-paths-config", extra_models_config(models, workspace / "models.yaml")]
    print(f"Starting ComfyUI; its log is {workspace / 'server.log'}", flush=True)
    return ComfyServer(
        workspace,
        comfyui=code,
        python=python,
        arguments=extra,
        cpu=cpu,
        environment=comfyui.child_environment(code),
    )


def main() -> int:
    """Run the shipped workflow, on the miniature with everything that can be shown, and say where the pictures are."""
    arguments = parse_arguments()
    names = {
        shipped: value for option, shipped in REPLACEABLE.items() if (value := vars(arguments).get(option)) is not None
    }
    is_showcase = not names
    portrait = arguments.portrait or (showcase.PORTRAIT if is_showcase else SAMPLE)
    if not portrait.is_file():
        raise environment.SetupError(f"--portrait {portrait} is not a file; expected a picture.")
    workflow: Workflow = json.loads(WORKFLOW.read_text(encoding="utf-8"))
    if is_showcase:
        workflow = showcase.showcase(on_miniature(workflow))

    with running_server(arguments.models, cpu=not arguments.gpu) as server:
        print(f"Queueing {WORKFLOW.relative_to(environment.ROOT)} on {portrait}", flush=True)
        # A fixed name: a portrait's own file name often is the name of the person.
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
    except environment.SetupError as error:
        sys.exit(f"error: {error}")
