// @ts-check
/** What nodes give the editor to show: of a run, and of an earlier one when the editor returns to it. */

import { app } from "../../scripts/app.js"

import { chain } from "./panel.js"

/** @type {WeakMap<object, (output: any) => void>} */
const showers = new WeakMap()

/**
 * Call `show` with what the node gives the editor: after a run, and when the editor returns to an earlier one.
 *
 * @param {any} node
 * @param {(output: any) => void} show
 */
export function onOutput(node, show) {
  /** @type {any} */
  let own
  /** @param {any} output */
  function showOwn(output) {
    own = output
    show(output)
  }
  showers.set(node, showOwn)
  chain(node, "onExecuted", (output) => {
    if (isOfAnotherTab(output)) remember(node, own)
    else showOwn(output)
  })
}

/**
 * @param {object} node
 * @param {any} output
 */
export function showOutput(node, output) {
  showers.get(node)?.(output)
}

/**
 * Whether another tab ran. The editor gives what a run brings to the nodes on the canvas that have the same numbers, and
 * two tabs of one template have: the faces of one photograph would lie under a choice that is about another.
 *
 * @param {any} output
 * @returns {boolean}
 */
function isOfAnotherTab(output) {
  const { activeWorkflow, openWorkflows } = app.extensionManager.workflow
  return openWorkflows.some(
    (/** @type {any} */ workflow) =>
      workflow.path !== activeWorkflow?.path && Object.values(workflow.changeTracker?.nodeOutputs ?? {}).includes(output),
  )
}

/**
 * Let the editor return to a node's own output, where it has taken another tab's for it.
 *
 * @param {any} node
 * @param {any} own undefined if the node has not run
 */
function remember(node, own) {
  const locator = node.graph === app.rootGraph ? String(node.id) : `${node.graph.id}:${node.id}`
  if (own) app.nodeOutputs[locator] = own
  else delete app.nodeOutputs[locator]
}
