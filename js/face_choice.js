// @ts-check
/** Embed Faces: its faces, numbered, to be included or left out by a click. */

import { app } from "../../scripts/app.js"

import { chosenFaces, toggledChoice } from "./choice.js"
import { addPanel, isLinked, make, onOutput, onValues, widgetOf } from "./panel.js"
import { addStage, image, place } from "./stage.js"

const HEIGHT = 240

/** @param {any} node */
export function addFaceChoice(node) {
  const panel = addPanel(node, "face_choice", HEIGHT)
  const stage = addStage(panel, "Run once to see the faces; then click a face to include it or leave it out.", draw)
  const select = widgetOf(node, "select")

  /** @type {import("./choice.js").FoundFaces[]} */
  let pictures = []
  /** The choice that the last run used. */
  let ran = ""

  onOutput(node, (output) => {
    if (!output.found_faces) return
    pictures = output.found_faces
    ran = select.value
    stage.show(pictures)
    tell()
  })
  onValues(node, ["select"], panel.signal, () => {
    if (!pictures.length) return
    stage.redraw()
    tell()
  })

  /** Why the faces cannot be clicked, or "". */
  function hindrance() {
    if (isLinked(node, "select")) return "select is linked to another node"
    if (pictures.length !== pictures[0].batch) return "all pictures of a list share one select"
    return ""
  }

  function tell() {
    const counts = pictures.map((picture, number) => chosenFaces(select.value, picture, number)?.length ?? 0)
    const faces = pictures.reduce((sum, picture) => sum + picture.faces.length, 0)
    const text = `${counts.reduce((sum, count) => sum + count, 0)} of ${faces} faces chosen`
    stage.say(hindrance() ? `${hindrance()}` : select.value === ran ? text : `${text}; run to apply`)
  }

  /**
   * @param {import("./choice.js").FoundFaces} picture
   * @param {HTMLElement} frame
   * @param {number} number
   */
  function draw(picture, frame, number) {
    frame.append(image(picture.preview, "The picture that was searched for faces"))
    const chosen = chosenFaces(select.value, picture, number)
    picture.faces.forEach((face, index) => {
      const included = chosen?.includes(index + 1) ?? false
      const button = make(
        "button",
        "rp-face",
        {
          type: "button",
          "aria-pressed": String(included),
          "aria-label": `Face ${index + 1}`,
          title: included ? `Face ${index + 1}: click to leave it out` : `Face ${index + 1}: click to include it`,
        },
        make("span", "rp-number", {}, String(index + 1)),
      )
      button.disabled = hindrance() !== ""
      place(button, face.box)
      button.style.zIndex = String(inFront(face.box))
      button.addEventListener("click", () => toggle(frame, number, index), { signal: panel.signal })
      button.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => move(frame, index, event), {
        signal: panel.signal,
      })
      frame.append(button)
    })
  }

  /**
   * @param {HTMLElement} frame
   * @param {number} number of the picture, from 0
   * @param {number} index of the face, from 0
   */
  function toggle(frame, number, index) {
    const view = /** @type {HTMLElement} */ (frame.parentElement)
    const text = toggledChoice(select.value, pictures, number, index + 1)
    select.value = text
    select.callback?.(text, app.canvas, node)
    app.canvas.setDirty(true, true)
    // The buttons have been redrawn.
    facesIn(view)[index].focus()
  }
}

/**
 * Where faces overlap, the smaller one is in front, so that each can be clicked somewhere.
 *
 * @param {number[]} box in fractions of the picture's sides
 * @returns {number} a level, the higher the smaller the box
 */
function inFront([x0, y0, x1, y1]) {
  return Math.round(1000 / (1 + (x1 - x0) * (y1 - y0)))
}

/**
 * Arrows move from face to face; keys meant for a face do not reach the canvas.
 *
 * @param {HTMLElement} frame
 * @param {number} index
 * @param {KeyboardEvent} event
 */
function move(frame, index, event) {
  const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key]
  if (step) {
    const faces = facesIn(frame)
    faces[(index + step + faces.length) % faces.length].focus()
    event.preventDefault()
  }
  if (step || event.key === " " || event.key === "Enter") event.stopPropagation()
}

/**
 * @param {HTMLElement} element
 * @returns {NodeListOf<HTMLElement>} the buttons in it
 */
function facesIn(element) {
  return element.querySelectorAll(".rp-face")
}
