// @stable-canvas/comfyui-client: runs a workflow and prints what it got as JSON. Arguments: URL, workflow, id, call.
import { readFileSync } from "node:fs";
import { Client, Workflow } from "@stable-canvas/comfyui-client";
import WebSocket from "ws";

const [url, path, , call] = process.argv.slice(2);
const print = (found) => {
  process.stdout.write(JSON.stringify(found) + "\n", () => process.exit(0));
};
console.log = console.error;
const graph = JSON.parse(readFileSync(path, "utf8"));
const client = new Client({ api_host: new URL(url).host, WebSocket, fetch });

// The client numbers the nodes itself, in the order in which they are added.
const rebuilt = () => {
  const workflow = new Workflow();
  const numbers = new Map(Object.keys(graph).map((id, index) => [id, String(index + 1)]));
  const linked = (value) => (Array.isArray(value) && numbers.has(value[0]) ? [numbers.get(value[0]), value[1]] : value);
  for (const { class_type, inputs } of Object.values(graph)) {
    workflow.node(class_type, Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, linked(value)])));
  }
  return workflow;
};

try {
  await client.connect();
  const result = await (call === "Client.enqueue" ? client.enqueue(graph) : rebuilt().invoke(client));
  print({ files: result.images.map((image) => image.data) });
} catch (error) {
  // What the server answered is beside the message.
  print({ said: error instanceof Error ? `${error.name}: ${error.message} ${JSON.stringify(error.json ?? "")}` : JSON.stringify(error) });
}
