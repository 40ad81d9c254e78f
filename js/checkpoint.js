// @ts-check
/** Which checkpoint a node's model comes from, in the graph as it is in the editor. */

import { app } from "../../scripts/app.js"

import { MODEL_FILE } from "./models.js"

/** The host's number for the inputs of a subgraph, seen from inside. */
const SUBGRAPH_INPUTS = -10

const MODEL = "model"

/**
 * The file that a node's model comes from, through whatever patches it on the way. `checkpoint_of` in
 * host/queued_graph.py follows a queued graph by the same rule.
 *
 * @param {any} node
 * @returns {string | null} its name as the loader has it; null if that is not clear
 */
export function checkpointOf(node) {
  const seen = new Set()
  for (let at = node; at && !seen.has(at); ) {
    seen.add(at)
    // A reroute has one input without a name.
    const input = at.inputs?.find((/** @type {any} */ one) => one.name === MODEL) ?? (at.isVirtualNode ? at.inputs?.[0] : null)
    if (input?.link == null) return fileOf(at)
    at = originOf(at.graph, input.link)
  }
  return null
}

/** @param {any} node */
function fileOf(node) {
  const linked = (/** @type {string} */ name) => node.inputs?.some((/** @type {any} */ one) => one.widget?.name === name && one.link != null)
  const widget = node.widgets?.find((/** @type {any} */ one) => MODEL_FILE.test(String(one.value)) && !linked(one.name))
  return widget ? String(widget.value) : null
}

/**
 * The node at the other end of a link, inside of subgraphs and out of them.
 *
 * @param {any} graph
 * @param {number} id
 * @returns {any} null if there is none
 */
function originOf(graph, id) {
  const link = graph.getLink(id)
  if (!link) return null
  const { origin_id, origin_slot } = link
  // After a conversion to a subgraph the host has its numbers as texts.
  if (Number(origin_id) === SUBGRAPH_INPUTS) {
    const outer = graphs().flatMap((one) => one.nodes).find((node) => node.subgraph === graph)
    const outside = outer?.inputs[origin_slot]?.link
    return outside == null ? null : originOf(outer.graph, outside)
  }
  const node = graph.getNodeById(origin_id)
  if (!node?.isSubgraphNode?.()) return node
  const inside = node.subgraph.outputs[origin_slot]?.linkIds[0]
  return inside === undefined ? null : originOf(node.subgraph, inside)
}

/** @returns {any[]} */
function graphs() {
  return [app.rootGraph, ...app.rootGraph.subgraphs.values()]
}
