// @ts-check
/** Attribute Prompt: the sentence that it will send, updated during editing. The server writes it, as in a run. */

import { api } from "../../scripts/api.js"

import { addPanel, isLinked, make, onValues, widgetOf } from "./panel.js"

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
      if (!signal.aborted) show({ text: "", example_of: [], error: "the server does not answer" }, linked)
    }
  }

  /**
   * @param {Preview} preview
   * @param {string[]} linked linked attributes
   */
  function show(preview, linked) {
    panel.element.classList.toggle("rp-wrong", preview.error !== "")
    text.classList.toggle("rp-none", preview.text === "")
    text.textContent = preview.error || preview.text || "nothing: the text is empty, as in the paper"
    label.textContent = heading(preview, linked)
  }
}

/**
 * @param {Preview} preview
 * @param {string[]} linked
 */
function heading(preview, linked) {
  if (preview.error) return "No sentence"
  const notes = []
  if (preview.example_of.length) notes.push(`for example; each face has its own ${preview.example_of.join(" and ")}`)
  if (linked.length) notes.push(`without the linked ${linked.join(", ")}`)
  return notes.length ? `It will say (${notes.join("; ")})` : "It will say"
}
