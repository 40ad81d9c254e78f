// @ts-check
/** What the pack adds to the editor: a panel or a button on those of its nodes that have something to show. */

import { app } from "../../scripts/app.js"

import { addSavedComparison, addComparison } from "./comparison.js"
import { addFaceChoice } from "./face_choice.js"
import { showFirstView, takeFirstView } from "./first_view.js"
import { translatePlaced, translateWorkflow } from "./graphs.js"
import { addGuidance } from "./guidance.js"
import { addModelsButton } from "./models.js"
import { showOutput } from "./outputs.js"
import { learnPhrases } from "./phrases.js"
import { addSentence } from "./sentence.js"

/** @type {Record<string, (node: any) => void>} */
const PANELS = {
  FaceEmbed: addFaceChoice,
  AttributePrompt: addSentence,
  ReverseIdentityAdapterLoader: addModelsButton,
  ReverseIdentityCheck: addComparison,
  ReverseIdentitySaveImage: addSavedComparison,
  ReverseIdentityKSampler: addGuidance,
  ReverseIdentityGuider: addGuidance,
  ReverseIdentityEdit: addGuidance,
  ReverseIdentityScaleSweep: addGuidance,
}

/**
 * The node that an output belongs to.
 *
 * @param {string} locator "5", or "SUBGRAPH:5" for a node inside a subgraph
 */
function nodeAt(locator) {
  const [id, subgraph] = locator.split(":").reverse()
  const graph = subgraph ? app.rootGraph.subgraphs.get(subgraph) : app.rootGraph
  return graph?.getNodeById(Number(id))
}

app.registerExtension({
  name: "reversepersonalization.panels",

  init: learnPhrases,

  /**
   * The editor loads a workflow again when its language has changed.
   *
   * @param {any} workflow
   */
  async beforeConfigureGraph(workflow) {
    takeFirstView(workflow)
    await learnPhrases()
    await translateWorkflow(workflow)
  },

  afterConfigureGraph: showFirstView,

  /** @param {any} node */
  nodeCreated(node) {
    PANELS[node.comfyClass]?.(node)
    if (node.isSubgraphNode?.()) void translatePlaced(node)
  },

  /**
   * The editor shows other outputs than those of the last run: another workflow's, or after an undo.
   *
   * @param {Record<string, any>} outputs by locator
   */
  onNodeOutputsUpdated(outputs) {
    for (const [locator, output] of Object.entries(outputs)) {
      const node = nodeAt(locator)
      if (node) showOutput(node, output)
    }
  },
})
