// @ts-check
/**
 * What is written in the shipped workflows and in the blueprint: titles of nodes and groups, notes, names of inputs. They
 * bear a mark that says in which language. Here they become the editor's, as far as nobody has changed them.
 */

import { readPhrases } from "./phrase_files.js"
import { editorLanguage } from "./phrases.js"

/** Key of the mark among what a graph carries besides; `scripts/workflow_generator/texts.py` writes it. */
const MARK = "reverse_personalization"

const NOTE = "MarkdownNote"

/**
 * Translate what is about to be loaded, in place: a workflow and the graphs inside its nodes.
 *
 * @param {any} workflow as the editor stores it
 */
export async function translateWorkflow(workflow) {
  const language = editorLanguage()
  const inner = workflow.definitions?.subgraphs ?? []
  const graphs = [workflow, ...inner]
  for (const graph of graphs) {
    const translate = await translator(graph, language)
    if (!translate) continue
    translateGraph(graph, translate)
    // The node that a graph is inside of stands in another, which may have no mark: a user's own.
    if (graph !== workflow) for (const node of outerNodes(graphs, graph.id)) translateOuter(node, translate)
  }
}

/**
 * Translate a blueprint that has been placed: the node, and the graph inside it.
 *
 * @param {any} node on the canvas
 */
export async function translatePlaced(node) {
  const translate = await translator(node.subgraph, editorLanguage())
  if (!translate) return
  translateGraph(node.subgraph, translate)
  translateOuter(node, translate)
  node.graph?.setDirtyCanvas(true, true)
}

/**
 * How a graph's texts are translated; null if they are nobody's but the user's, or in the language already. The graph then
 * counts as translated.
 *
 * @param {any} graph
 * @param {string} language
 * @returns {Promise<((text: unknown) => string | undefined) | null>} what translates one text; undefined: leave it
 */
async function translator(graph, language) {
  const mark = graph.extra?.[MARK]
  if (!mark || mark.language === language) return null
  const [before, after] = await Promise.all([mark.language, language].map((one) => readPhrases("graphs", one)))
  // Without the one or the other, the next time may find both.
  if (!Object.keys(before).length || !Object.keys(after).length) return null
  graph.extra[MARK] = { ...mark, language }
  const keys = new Map(Object.entries(before).map(([key, text]) => [text, key]))
  return (text) => after[keys.get(String(text)) ?? ""]
}

/**
 * @param {any} graph as the editor stores it, or on the canvas
 * @param {(text: unknown) => string | undefined} translate
 */
function translateGraph(graph, translate) {
  replace(graph, "name", translate)
  for (const group of graph.groups ?? []) replace(group, "title", translate)
  for (const node of graph.nodes ?? []) {
    replace(node, "title", translate)
    if (node.type === NOTE) translateNote(node, translate)
  }
  translateSlots(graph, translate)
}

/**
 * @param {any} node as the editor stores it
 * @param {(text: unknown) => string | undefined} translate
 */
function translateNote(node, translate) {
  const paragraphs = String(node.widgets_values?.[0]).split("\n\n")
  const translated = paragraphs.map((text) => {
    const [, heading, said] = /** @type {string[]} */ (/^(#* ?)([^]*)$/.exec(text))
    const other = translate(said)
    return other === undefined ? undefined : heading + other
  })
  // A note that somebody has written in is theirs.
  if (translated.every((text) => text !== undefined)) node.widgets_values[0] = translated.join("\n\n")
}

/**
 * The node of a graph inside it, where it stands among others.
 *
 * @param {any} node
 * @param {(text: unknown) => string | undefined} translate
 */
function translateOuter(node, translate) {
  replace(node, "title", translate)
  translateSlots(node, translate)
}

/**
 * Names of inputs and outputs: what is shown, not what they are known by.
 *
 * @param {any} owner a graph or a node
 * @param {(text: unknown) => string | undefined} translate
 */
function translateSlots(owner, translate) {
  for (const slots of [owner.inputs, owner.outputs]) {
    for (const slot of slots ?? []) {
      const said = translate(slot.label ?? slot.name)
      if (said === undefined) continue
      // On the canvas, a graph tells the nodes that it is inside of.
      if (slots === owner.inputs && owner.renameInput) owner.renameInput(slot, said)
      else if (slots === owner.outputs && owner.renameOutput) owner.renameOutput(slot, said)
      else slot.label = said
    }
  }
}

/**
 * The nodes that a graph is inside of.
 *
 * @param {any[]} graphs
 * @param {string} id
 * @returns {any[]}
 */
function outerNodes(graphs, id) {
  return graphs.flatMap(({ nodes }) => nodes ?? []).filter((node) => node.type === id)
}

/**
 * @param {any} owner
 * @param {string} key of a text
 * @param {(text: unknown) => string | undefined} translate
 */
function replace(owner, key, translate) {
  const text = translate(owner[key])
  if (text !== undefined) owner[key] = text
}
