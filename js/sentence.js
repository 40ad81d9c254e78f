// @ts-check
/** Attribute Prompt: the sentence that it will send, updated during editing. The server writes it, as in a run. */

import { api } from "../../scripts/api.js"

import { addPanel, isLinked, make, onValues, widgetOf } from "./panel.js"
import { allOf, inputName, phrase, translated } from "./phrases.js"

const HEIGHT = 84

const ATTRIBUTES = ["age", "sex", "ethnicity", "expression", "hair", "text"]

/** Milliseconds after the last key. */
const PAUSE = 150

/**
 * @typedef {object} Preview the server's answer
 * @property {string} text
 * @property {string[]} example_of attributes for which the text holds an example value
 * @property {string} error
 */

/** @param {any} node */
export function addSentence(node) {
  const panel = addPanel(node, "sentence", HEIGHT)
  const label = make("div", "rp-label")
  const text = make("div", "rp-text", { role: "status" })
  panel.element.append(label, text)

  let timer = 0
  let asked = new AbortController()
  panel.signal.addEventListener("abort", () => {
    clearTimeout(timer)
    asked.abort()
  })

  onValues(node, ATTRIBUTES, panel.signal, () => {
    clearTimeout(timer)
    timer = window.setTimeout(ask, PAUSE)
  })

  async function ask() {
    asked.abort()
    asked = new AbortController()
    const { signal } = asked
    const linked = ATTRIBUTES.filter((name) => isLinked(node, name))
    const free = ATTRIBUTES.filter((name) => !linked.includes(name))
    const values = Object.fromEntries(free.map((name) => [name, widgetOf(node, name).value]))
    try {
      const answer = await api.fetchApi("/reverse_personalization/sentence", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ ...values, has_faces: isLinked(node, "faces") }),
        signal,
      })
      show(answer.ok ? await answer.json() : { text: "", example_of: [], error: await answer.text() }, linked)
    } catch (error) {
      // Aborted: a newer request or the node's removal overtook this one. Otherwise the server is gone.
      if (!signal.aborted) show({ text: "", example_of: [], error: phrase("sentence.server") }, linked)
    }
  }

  /**
   * @param {Preview} preview
   * @param {string[]} linked linked attributes
   */
  function show(preview, linked) {
    panel.element.classList.toggle("rp-wrong", preview.error !== "")
    text.classList.toggle("rp-none", preview.text === "")
    const problem = translated(preview.error, "sentence.error", (names) => named(node, names.split(" and ")))
    text.textContent = problem || preview.text || phrase("sentence.empty")
    label.textContent = heading(node, preview, linked)
  }
}

/**
 * @param {any} node
 * @param {Preview} preview
 * @param {string[]} linked
 */
function heading(node, preview, linked) {
  if (preview.error) return phrase("sentence.none")
  const notes = []
  if (preview.example_of.length) notes.push(phrase("sentence.example", { inputs: named(node, preview.example_of) }))
  if (linked.length) notes.push(phrase("sentence.without", { inputs: named(node, linked) }))
  return notes.length ? phrase("sentence.heading_with", { notes: notes.join(phrase("semicolon")) }) : phrase("sentence.heading")
}

/**
 * @param {any} node
 * @param {string[]} names of inputs
 */
function named(node, names) {
  return allOf(names.map((name) => inputName(node, name)))
}
