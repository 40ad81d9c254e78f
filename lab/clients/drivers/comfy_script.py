"""comfy-script: runs a workflow as a script and prints what it got as JSON. Arguments: URL, workflow, id, call."""

import contextlib
import io
import json
import sys
import urllib.request
from pathlib import Path

# Python puts this file's folder first on its path, where this file would hide the package of its name.
sys.path.pop(0)

from comfy_script.runtime import load
from comfy_script.transpile import WorkflowToScriptTranspiler

url, workflow, _, call = sys.argv[1:]
said = io.StringIO()
found: dict[str, object] = {}
try:
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        script = WorkflowToScriptTranspiler(Path(workflow).read_text(encoding="utf-8"), url).to_script()
        load(url, save_script_source=False)
        from comfy_script.runtime import Workflow, nodes

        names = {name: getattr(nodes, name) for name in dir(nodes) if not name.startswith("_")}
        with Workflow(wait=True) as queued:
            exec(script, names)
        results = queued.task.wait() if queued.task else []
    files = [image for result in results for image in getattr(result, "_output", {}).get("images", [])]
    if files:
        found["files"] = [image["filename"] for image in files]
    if queued.task and call == "Workflow, history":
        run = queued.task.prompt_id
        with urllib.request.urlopen(f"{url}/history/{run}") as answer:
            said.write(json.dumps(json.load(answer)[run]["status"]))
except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user is told
    found["error"] = f"{type(error).__name__}: {error}"
if "files" not in found:
    found["said"] = f"{found.pop('error', '')} {said.getvalue()}".strip()
print(json.dumps(found))
