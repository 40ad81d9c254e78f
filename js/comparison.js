// @ts-check
/** Identity Check and Save Anonymized Image: before and after under a slider, and what became of every face. */

import { onOutput } from "./outputs.js"
import { addPanel, isOutdated, make, onValues } from "./panel.js"
import { phrase, translated } from "./phrases.js"
import { addStage, image, place } from "./stage.js"
import { addWord } from "./word.js"

const HEIGHT = 280

/**
 * @typedef {object} Badge a face
 * @property {string} status
 * @property {boolean} under_cover whether an anonymised face is hidden because other faces' covers hid much of it
 * @property {number | null} similarity
 * @property {string} reason
 * @property {number[]} box in fractions of the picture's sides
 * @property {number[] | null} struck_by the box in pixels, of this node's input, by which a person struck it out
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

/** @param {any} node */
export function addComparison(node) {
  /** @type {Compared[]} */
  let pictures = []
  const empty = phrase("check.empty")
  const { panel, stage } = addBeforeAfter(node, empty, (picture, frame, number) => {
    picture.faces.forEach((face, index) => {
      if (face.status !== "unhandled" && face.status !== "struck out") return
      const find = { box: face.box, struckBy: face.struck_by }
      // What Embed Faces was told to strike out is taken back there.
      if (face.status === "struck out" && !face.struck_by) return
      frame.append(word.strike(picture, number, find, phrase("face", { number: index + 1 })))
      const struck = word.isStruck(picture, number, find)
      frame.querySelectorAll(".rp-outline")[index].classList.toggle("rp-struck", struck)
    })
    for (const box of word.drawn(number)) frame.append(...word.frameOf(picture, number, box, "+"))
    word.layer(picture, frame, number)
  })
  const word = addWord(node, panel, stage, () => pictures)

  function tell() {
    stage.say(word.hindrance() || (isOutdated(node, pictures) ? phrase("word.changed") : ""))
  }

  onOutput(node, (output) => {
    if (!output.comparison) return
    pictures = output.comparison
    stage.show(pictures)
    tell()
  })
  onValues(node, ["not_faces", "drawn_faces"], panel.signal, () => {
    if (!pictures.length) return
    stage.redraw()
    tell()
  })
}

/** @param {any} node */
export function addSavedComparison(node) {
  // The panel shows the saved picture; the editor's own preview, in either renderer, would show it once more.
  node.hideOutputImages = true
  node.onDrawBackground = () => {}
  const { stage } = addBeforeAfter(node, phrase("save.empty"), (_, frame) => {
    // What the node's menu opens, copies and saves.
    node.imgs = [frame.querySelector(".rp-after")]
    node.imageIndex = 0
  })
  onOutput(node, (output) => {
    if (output.comparison) stage.show(output.comparison)
  })
}

/**
 * @param {any} node
 * @param {string} empty shown before the first run
 * @param {(picture: Compared, frame: HTMLElement, number: number) => void} more is drawn over every picture
 */
function addBeforeAfter(node, empty, more) {
  const panel = addPanel(node, "before_after", HEIGHT)
  const badges = make("ul", "rp-badges", { "aria-label": phrase("check.faces") })
  const source = make("div", "rp-label")
  const stage = addStage(panel, empty, (/** @type {Compared} */ picture, frame, number) => {
    const after = image(picture.after, phrase("check.after"))
    after.classList.add("rp-after")
    frame.append(after)
    if (picture.before) frame.append(...slider(picture.before, frame, panel.signal))
    picture.faces.forEach((face, index) => frame.append(outline(face, index)))
    badges.replaceChildren(...picture.faces.map((face, index) => badge(face, index, picture.threshold)))
    source.textContent = phrase("check.threshold", {
      threshold: picture.threshold.toFixed(2),
      source: translated(picture.threshold_source, "source"),
    })
    more(picture, frame, number)
  })
  panel.element.append(badges, source)
  return { panel, stage }
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
 * @param {Badge} face
 * @param {number} index from 0
 * @param {number} threshold
 */
function badge(face, index, threshold) {
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
  return make("li", `rp-badge ${statusClass(face)}`, { title }, `${index + 1} `, sign, ` ${said}${measured}`, ...meter)
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
