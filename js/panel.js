// @ts-check
/** A panel on a node: its place among the widgets, its lifetime, and the events that reach it. */

import { app } from "../../scripts/app.js"

/**
 * @typedef {object} Panel
 * @property {HTMLElement} element
 * @property {AbortSignal} signal aborts when the node is removed: listeners end with it
 */

/**
 * Add a panel under a node's widgets. It is neither saved with the workflow nor sent with the prompt.
 *
 * @param {any} node
 * @param {string} name of the widget, none of the node's inputs
 * @param {number} height at least, in pixels of the editor; the shipped workflows leave this much room
 * @returns {Panel}
 */
export function addPanel(node, name, height) {
  const element = document.createElement("div")
  element.className = `rp-panel rp-${name}`
  element.style.minHeight = `${height - 2 * MARGIN}px`
  element.append(...STYLES.map((href) => make("link", "", { rel: "stylesheet", href })))
  const widget = node.addDOMWidget(name, `reverse_personalization_${++panels}`, element, {
    serialize: false,
    hideOnZoom: false,
    margin: MARGIN,
    getMinHeight: () => height,
  })
  widget.serialize = false

  const life = new AbortController()
  chain(node, "onRemoved", () => life.abort())
  element.addEventListener("wheel", zoom, { signal: life.signal })
  return { element, signal: life.signal }
}

const MARGIN = 6

/**
 * How many panels there have been. An undo, a redo and a reload make new nodes with the old numbers, and where Vue draws
 * nodes, it takes a widget of the same node, name and type for the one that it shows already, and goes on showing the
 * removed node's element. So no two panels have widgets of one type.
 */
let panels = 0

/** Each panel brings its own style sheets: the page's head is shared, and the pack leaves nothing in it. */
export const STYLES = ["./style.css", "./word.css", "./guidance.css"].map((name) => new URL(name, import.meta.url).href)

/**
 * Let the wheel zoom the canvas over a panel too. Nodes drawn by Vue do that by themselves.
 *
 * @param {WheelEvent} event
 */
function zoom(event) {
  if (!(/** @type {Element} */ (event.target).closest(".lg-node"))) app.canvas.processMouseWheel(event)
}

/**
 * Call `after` after a callback that others may have set as well.
 *
 * @param {any} owner
 * @param {string} name of the callback
 * @param {(...values: any[]) => void} after
 */
export function chain(owner, name, after) {
  const before = owner[name]
  owner[name] = function (/** @type {any[]} */ ...values) {
    const result = before?.apply(this, values)
    after.apply(this, values)
    return result
  }
}

/**
 * Call `changed` whenever one of a node's values may have changed, and once when the node is complete.
 *
 * @param {any} node
 * @param {string[]} names of inputs
 * @param {AbortSignal} signal
 * @param {() => void} changed
 */
export function onValues(node, names, signal, changed) {
  const alive = () => {
    if (!signal.aborted) changed()
  }
  for (const widget of node.widgets) if (names.includes(widget.name)) chain(widget, "callback", alive)
  chain(node, "onConfigure", alive)
  chain(node, "onConnectionsChange", alive)
  queueMicrotask(alive)
}

/**
 * @param {any} node
 * @param {string} name
 */
export function widgetOf(node, name) {
  return node.widgets.find((/** @type {any} */ widget) => widget.name === name)
}

/**
 * Whether a run that is shown was one of other texts than the widgets hold. The run says itself what it got: the editor
 * shows it again in new nodes after an undo, a redo or a change of the tab, and texts may change while it lasts.
 *
 * @param {any} node
 * @param {{ asked: Record<string, string> }[]} pictures of the run; what it got, by input
 * @returns {boolean}
 */
export function isOutdated(node, pictures) {
  return pictures.some(({ asked }) => Object.entries(asked).some(([name, text]) => widgetOf(node, name).value !== text))
}

/**
 * Set a widget as if somebody had typed: what watches it hears of it, and the editor can undo it.
 *
 * @param {any} node
 * @param {any} widget
 * @param {string} value
 */
export function setValue(node, widget, value) {
  app.canvas.emitBeforeChange()
  widget.value = value
  widget.callback?.(value, app.canvas, node)
  app.canvas.emitAfterChange()
  app.canvas.setDirty(true, true)
}

/**
 * Whether an input gets its value from another node.
 *
 * @param {any} node
 * @param {string} name
 * @returns {boolean}
 */
export function isLinked(node, name) {
  return node.inputs?.some((/** @type {any} */ input) => input.name === name && input.link != null) ?? false
}

/**
 * An element with class, attributes and content.
 *
 * @param {string} tag
 * @param {string} [className]
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} content
 * @returns {any}
 */
export function make(tag, className = "", attributes = {}, ...content) {
  const element = document.createElement(tag)
  if (className) element.className = className
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  element.append(...content)
  return element
}
