// @ts-check
/** Before and after over the whole window, and beside them a strip of every face: before, each attempt, final. */

import { badge, drawBeforeAfter, thresholdWords } from "./before_after.js"
import { STYLES, make } from "./panel.js"
import { direction, phrase } from "./phrases.js"
import { addStage, image } from "./stage.js"

/** @typedef {import("./before_after.js").Badge} Badge */
/** @typedef {import("./before_after.js").Compared} Compared */

/** How much of a picture is shown around a face, as a multiple of its box's longer side. */
const AROUND = 1.7

/**
 * @param {Compared[]} pictures
 * @param {number} shown which is shown first, from 0
 */
export function openFullScreen(pictures, shown) {
  const life = new AbortController()
  const faces = make("div", "rp-strips", { role: "list", "aria-label": phrase("check.faces") })
  const left = make("div", "rp-full-stage")
  const close = make("button", "rp-button", { type: "button" }, phrase("models.close"))
  const style = [...STYLES, new URL("./full_screen.css", import.meta.url).href]
  const dialog = make(
    "dialog",
    "rp-panel rp-full",
    { "aria-label": phrase("full.open"), dir: direction() },
    ...style.map((href) => make("link", "", { rel: "stylesheet", href })),
    left,
    faces,
  )
  const stage = addStage({ element: left, signal: life.signal }, "", (/** @type {Compared} */ picture, frame) => {
    drawBeforeAfter(picture, frame, life.signal)
    faces.replaceChildren(...picture.faces.map((face, index) => strip(picture, face, index)))
    stage.say(thresholdWords(picture))
  })
  stage.addTool(close)
  // Keys that are meant for the dialog do not reach the canvas.
  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation())
  dialog.addEventListener("close", () => {
    life.abort()
    dialog.remove()
  })
  close.addEventListener("click", () => dialog.close())
  document.body.append(dialog)
  dialog.showModal()
  stage.show(pictures, shown)
}

/**
 * @param {Compared} picture
 * @param {Badge} face
 * @param {number} index from 0
 */
function strip(picture, face, index) {
  const { attempts, strip } = face
  const pictured = attempts.filter((attempt) => attempt.pictured)
  const steps = attempts.map((attempt) =>
    step(attemptWords(attempt), strip && attempt.pictured ? slice(strip, pictured.indexOf(attempt), pictured.length) : null, attempt.kept),
  )
  const before = picture.before ? [step([phrase("check.before")], cut(picture, picture.before, face.before))] : []
  const final = step([phrase("attempt.final")], cut(picture, picture.after, face.box))
  return make(
    "section",
    "rp-strip",
    { role: "listitem" },
    badge(face, index, picture.threshold, "div"),
    make("div", "rp-steps", {}, ...before, ...steps, final),
  )
}

/** @param {import("./before_after.js").Attempt} attempt */
function attemptWords({ scale, similarity, kept }) {
  const measured = similarity === null ? phrase("attempt.not_measurable") : similarity.toFixed(2)
  return [phrase("attempt.scale", { scale }), measured, ...(kept ? [phrase("attempt.taken")] : [])]
}

/**
 * @param {string[]} words
 * @param {HTMLElement | null} picture
 * @param {boolean} [kept]
 */
function step(words, picture, kept = false) {
  const lines = words.map((text) => make("span", "", {}, text))
  const shown = picture ?? make("div", "rp-cut")
  return make("figure", kept ? "rp-step rp-kept" : "rp-step", {}, shown, make("figcaption", "", {}, ...lines))
}

/**
 * A face, cut square from a picture.
 *
 * @param {Compared} picture whose shape it has
 * @param {Record<string, string>} file
 * @param {number[]} box in fractions of the sides
 */
function cut({ width, height }, file, [x0, y0, x1, y1]) {
  const side = AROUND * Math.max(width * (x1 - x0), height * (y1 - y0), 1)
  const [left, top] = [(width * (x0 + x1) - side) / 2, (height * (y0 + y1) - side) / 2]
  return part(image(file, ""), width / side, height / side, -left / side, -top / side)
}

/**
 * One of several square pictures that stand side by side in a file.
 *
 * @param {Record<string, string>} file
 * @param {number} number from 0
 * @param {number} count
 */
function slice(file, number, count) {
  return part(image(file, ""), count, 1, -number, 0)
}

/**
 * A part of a picture in a square, whose caption says what it is; all lengths in sides of the square.
 *
 * @param {HTMLElement} element
 * @param {number} width of the whole picture
 * @param {number} height
 * @param {number} left
 * @param {number} top
 */
function part(element, width, height, left, top) {
  const percent = (/** @type {number} */ length) => `${100 * length}%`
  Object.assign(element.style, { width: percent(width), height: percent(height), left: percent(left), top: percent(top) })
  return make("div", "rp-cut", {}, element)
}
