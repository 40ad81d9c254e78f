// @saintno/comfyui-sdk: runs a workflow and prints what it got as JSON. Arguments: URL, workflow, id of its end.
import { readFileSync } from "node:fs";
import { CallWrapper, ComfyApi, PromptBuilder } from "@saintno/comfyui-sdk";

const [url, workflow, end] = process.argv.slice(2);
let printed = false;
const print = (found) => {
  // It reports one failure twice; only the first report has the cause.
  if (printed) return;
  printed = true;
  process.stdout.write(JSON.stringify(found) + "\n", () => process.exit(0));
};
const told = (error) => {
  const causes = [];
  for (let one = error; one; one = one.cause) causes.push(one instanceof Error ? `${one.name}: ${one.message}` : JSON.stringify(one));
  return causes.join(" <- ");
};
console.log = console.error;
try {
  const api = new ComfyApi(url).init();
  await api.waitForReady();
  const builder = new PromptBuilder(JSON.parse(readFileSync(workflow, "utf8")), [], ["end"]).setOutputNode("end", end);
  await new CallWrapper(api, builder)
    .onFinished((data) => print({ files: data.end.images.map((image) => image.filename) }))
    .onFailed((error) => print({ said: told(error) }))
    .run();
} catch (error) {
  print({ said: told(error) });
}
