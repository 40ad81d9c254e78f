// @ts-check
/** Pictures before and after, and what became of every face: the elements that panels and the full screen share. */

import { make } from "./panel.js"
import { phrase, translated } from "./phrases.js"
import { image, place } from "./stage.js"

/**
 * @typedef {object} Attempt at a face
 * @property {number} scale
 * @property {number | null} similarity
 * @property {boolean} anonymised
 * @property {boolean} pictured whether it is in the strip
 * @property {boolean} kept whether it is the result
 */

/**
 * @typedef {object} Badge a face
 * @property {string} status
 * @property {boolean} under_cover whether an anonymised face is hidden because other faces' covers hid much of it
 * @property {number | null} similarity
 * @property {string} reason
 * @property {number[]} box in fractions of the picture's sides
 * @property {number[]} before its box in the original, likewise
 * @property {number[] | null} struck_by the box in pixels, of this node's input, by which a person struck it out
 * @property {Attempt[]} attempts
 * @property {Record<string, string> | null} strip the attempts that are pictured, side by side, or null
 */

/**
 * @typedef {object} Compared a picture
 * @property {Record<string, string> | null} before
 * @property {Record<string, string>} after
 * @property {Record<string, string>} asked what the run got as a person's word, by input
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} batch pictures of its batch
 * @property {number} threshold similarity at or above which a face is recognisable
 * @property {string} threshold_source where it comes from, in words
 * @property {Badge[]} faces
 */

/**
 * Signs beside the words, so that colour is not the only difference.
 *
 * @type {Record<string, string>}
 */
const SIGNS = {
  anonymised: "\u2713",
  covered: "\u25a0",
  recognisable: "\u2717",
  unmeasurable: "?",
  unhandled: "!",
  "struck out": "\u2205",
}

/**
 * Fill a frame with a picture before and after under a slider, and with the outlines of its faces.
 *
 * @param {Compared} picture
 * @param {HTMLElement} frame
 * @param {AbortSignal} signal
 */
export function drawBeforeAfter(picture, frame, signal) {
  const after = image(picture.after, phrase("check.after"))
  after.classList.add("rp-after")
  frame.append(after)
  if (picture.before) frame.append(...slider(picture.before, frame, signal))
  picture.faces.forEach((face, index) => frame.append(outline(face, index)))
}

/**
 * The original, over the left part of the result, and what moves the border between them.
 *
 * @param {Record<string, string>} file
 * @param {HTMLElement} frame
 * @param {AbortSignal} signal
 * @returns {HTMLElement[]}
 */
function slider(file, frame, signal) {
  const before = image(file, phrase("check.before"))
  before.classList.add("rp-before")
  const range = make("input", "rp-slider", {
    type: "range",
    min: "0",
    max: "100",
    value: "50",
    "aria-label": phrase("check.slider"),
  })
  const move = () => frame.style.setProperty("--rp-split", `${range.value}%`)
  range.addEventListener("input", move, { signal })
  // Arrows move the slider, not the node.
  range.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation(), { signal })
  move()
  const left = make("span", "rp-word rp-left", {}, phrase("check.before"))
  const right = make("span", "rp-word rp-right", {}, phrase("check.after"))
  return [before, make("span", "rp-line"), left, right, range]
}

/**
 * @param {Badge} face
 * @param {number} index from 0
 */
function outline(face, index) {
  const element = make("span", `rp-outline ${statusClass(face)}`, {}, make("span", "rp-number", {}, String(index + 1)))
  place(element, face.box)
  return element
}

/**
 * What became of a face, in a few words and a bar.
 *
 * @param {Badge} face
 * @param {number} index from 0
 * @param {number} threshold
 * @param {string} [tag]
 */
export function badge(face, index, threshold, tag = "li") {
  const { status, under_cover, similarity, reason } = face
  const plain = translated(status, "status")
  const said = under_cover ? phrase("check.under_cover", { status: plain }) : plain
  const values = { similarity: similarity?.toFixed(2) ?? "", threshold: threshold.toFixed(2) }
  const measured = similarity === null ? "" : ` ${phrase("check.measured", values)}`
  const known = similarity === null ? "" : phrase("check.similarity", values)
  const name = phrase("check.face", { face: phrase("face", { number: index + 1 }), status: said })
  const title = [name, translated(reason, "reason"), known].filter(Boolean).join(phrase("semicolon"))
  const sign = make("span", "rp-sign", { "aria-hidden": "true" }, SIGNS[status])
  const meter = similarity === null ? [] : [similarityBar(similarity, threshold)]
  return make(tag, `rp-badge ${statusClass(face)}`, { title }, `${index + 1} `, sign, ` ${said}${measured}`, ...meter)
}

/**
 * How far a face is from being recognised: a bar from 0 to 1, with a mark at the threshold. The words beside it say the
 * same to whoever does not see it.
 *
 * @param {number} similarity
 * @param {number} threshold
 */
function similarityBar(similarity, threshold) {
  const percent = (/** @type {number} */ value) => `${100 * Math.min(1, Math.max(0, value))}%`
  const bar = make("span", "rp-bar-filled")
  const mark = make("span", "rp-bar-mark")
  bar.style.width = percent(similarity)
  mark.style.left = percent(threshold)
  return make("span", "rp-similarity", { "aria-hidden": "true" }, bar, mark)
}

/** @param {Badge} face */
function statusClass({ status }) {
  return `rp-${status.replace(" ", "-")}`
}

/**
 * From when on a face is recognisable.
 *
 * @param {Compared} picture
 */
export function thresholdWords({ threshold, threshold_source }) {
  return phrase("check.threshold", { threshold: threshold.toFixed(2), source: translated(threshold_source, "source") })
}
