"""comfy-api-simplified: runs a workflow and prints what it got as JSON. Arguments: URL, workflow, title of its end."""

import json
import sys

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

url, workflow, title = sys.argv[1:]
try:
    images = ComfyApiWrapper(url).queue_and_wait_images(ComfyWorkflowWrapper(workflow), title)
    print(json.dumps({"files": [len(content) for content in images.values()]}))
except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user is told
    print(json.dumps({"said": f"{type(error).__name__}: {error}"}))
