"""comfy-api-simplified: runs a workflow and prints what it got as JSON. Arguments: URL, workflow, title, call."""

import json
import sys
import time

from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper

url, workflow, title, call = sys.argv[1:]
api, graph = ComfyApiWrapper(url), ComfyWorkflowWrapper(workflow)
try:
    if call == "queue_and_wait_images":
        print(json.dumps({"files": list(api.queue_and_wait_images(graph, title))}))
    else:
        run = api.queue_prompt(graph)["prompt_id"]
        while run not in (history := api.get_history(run)):
            time.sleep(0.5)
        images = history[run]["outputs"].get(graph.get_node_id(title), {}).get("images", [])
        messages = history[run]["status"]["messages"]
        said = [details["exception_message"] for event, details in messages if event == "execution_error"]
        print(json.dumps({"files": [image["filename"] for image in images], "said": " ".join(said)}))
except Exception as error:  # noqa: BLE001 - whatever the client raises is what its user is told
    print(json.dumps({"said": f"{type(error).__name__}: {error}"}))
