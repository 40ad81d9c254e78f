// @stable-canvas/comfyui-client: runs a workflow and prints what it got as JSON. Arguments: URL, workflow.
import { readFileSync } from "node:fs";
import { Client } from "@stable-canvas/comfyui-client";
import WebSocket from "ws";

const [url, workflow] = process.argv.slice(2);
const print = (found) => {
  process.stdout.write(JSON.stringify(found) + "\n", () => process.exit(0));
};
console.log = console.error;
const client = new Client({ api_host: new URL(url).host, WebSocket, fetch });
try {
  await client.connect();
  const result = await client.enqueue(JSON.parse(readFileSync(workflow, "utf8")));
  print({ files: result.images.map((image) => image.data) });
} catch (error) {
  print({ said: error instanceof Error ? `${error.name}: ${error.message}` : JSON.stringify(error) });
}
