// @ts-check
/** Runs one node with what it needs, and nothing else of the graph: no checkpoint is loaded for a search for faces. */

import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

import { phrase } from "./phrases.js"

/** The host runs a part of a graph up to nodes that show something; this one of its own shows a text. */
const SHOWS = "PreviewAny"

/**
 * Queue a node. The whole graph goes along, so that the host keeps what other nodes have computed.
 *
 * @param {any} node
 * @param {string} text the output of the node that is a text
 * @returns {Promise<string>} "" when it has run, or why it has not
 */
export async function runAlone(node, text) {
  const { output, workflow } = await app.graphToPrompt()
  const slot = node.outputs.findIndex((/** @type {any} */ one) => one.name === text)
  const ids = executionIds(app.rootGraph, node).filter((id) => id in output)
  if (!ids.length) return phrase("run.bypassed")
  const ends = Object.fromEntries(ids.map((id, number) => [`alone-${number}`, { class_type: SHOWS, inputs: { source: [id, slot] } }]))
  const run = followed(randomId())
  try {
    const answer = await api.fetchApi("/prompt", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        client_id: api.clientId,
        prompt_id: run.id,
        prompt: { ...output, ...ends },
        partial_execution_targets: Object.keys(ends),
        extra_data: { extra_pnginfo: { workflow } },
      }),
    })
    return answer.ok ? await run.ended : refusal(await answer.json())
  } finally {
    run.forget()
  }
}

/**
 * Under which numbers a node stands in a queued graph: "5", or "12:5" inside the subgraph of node 12.
 *
 * @param {any} graph
 * @param {any} node
 * @returns {string[]} one for each place where its subgraph is used
 */
function executionIds(graph, node) {
  if (node.graph === graph) return [String(node.id)]
  return graph.nodes
    .filter((/** @type {any} */ outer) => outer.isSubgraphNode?.())
    .flatMap((/** @type {any} */ outer) => executionIds(outer.subgraph, node).map((id) => `${outer.id}:${id}`))
}

/**
 * What becomes of a run that is about to be queued.
 *
 * @param {string} id
 */
function followed(id) {
  const life = new AbortController()
  const { activeWorkflow } = app.extensionManager.workflow
  /** @param {string} kind @param {(detail: any) => void} tell */
  const on = (kind, tell) =>
    api.addEventListener(
      /** @type {any} */ (kind),
      (/** @type {any} */ { detail }) => {
        if (detail?.prompt_id === id) tell(detail)
      },
      // Before the editor gives the output to the nodes on the canvas.
      { signal: life.signal, capture: true },
    )
  // The editor does this for what it queues itself: the output belongs to this tab, even if another is open by then.
  on("executed", ({ node, output }) => {
    if (activeWorkflow?.changeTracker) (activeWorkflow.changeTracker.nodeOutputs ??= {})[node] = output
  })
  /** @type {Promise<string>} */
  const ended = new Promise((done) => {
    on("execution_success", () => done(""))
    on("execution_interrupted", () => done(phrase("run.interrupted")))
    on("execution_error", ({ exception_message }) => done(String(exception_message).trim()))
  })
  return { id, ended, forget: () => life.abort() }
}

/**
 * Why the host does not queue a graph, in its own words or those of the node that it asked.
 *
 * @param {any} answer
 * @returns {string}
 */
function refusal({ error, node_errors }) {
  const [first] = Object.values(node_errors ?? {}).flatMap((/** @type {any} */ node) => node.errors ?? [])
  return first?.details || first?.message || error?.message || phrase("run.refused")
}

/** A random UUID; `crypto.randomUUID` is missing where the editor is opened over plain HTTP from another machine. */
function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  bytes[6] = (bytes[6] & 0x0f) | 0x40
  bytes[8] = (bytes[8] & 0x3f) | 0x80
  const digits = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")
  return [[0, 8], [8, 12], [12, 16], [16, 20], [20, 32]].map(([from, to]) => digits.slice(from, to)).join("-")
}
