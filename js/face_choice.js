// @ts-check
/** Embed Faces: its faces, numbered, to be included, left out or struck out by a click, and more to be drawn. */

import { runAlone } from "./alone.js"
import { chosenFaces, toggledChoice } from "./choice.js"
import { isSameBox } from "./decisions.js"
import { showModels } from "./models.js"
import { onOutput } from "./outputs.js"
import { addPanel, isLinked, isOutdated, make, onValues, setValue, widgetOf } from "./panel.js"
import { inputName, phrase } from "./phrases.js"
import { addStage, image, place } from "./stage.js"
import { addWord } from "./word.js"

const HEIGHT = 240

/** @typedef {import("./choice.js").FoundFaces} FoundFaces */

/** @param {any} node */
export function addFaceChoice(node) {
  const panel = addPanel(node, "face_choice", HEIGHT)
  const stage = addStage(panel, phrase("faces.empty", { find: phrase("faces.find") }), draw)
  const select = widgetOf(node, "select")
  const finder = make("button", "rp-find", { type: "button", title: phrase("faces.find_title") }, phrase("faces.find"))
  finder.addEventListener("click", find, { signal: panel.signal })
  const models = make("button", "rp-find", { type: "button", title: phrase("models.title") }, phrase("models.button"))
  models.addEventListener("click", showModels, { signal: panel.signal })
  stage.addTool(finder)

  /** @type {FoundFaces[]} */
  let pictures = []
  const word = addWord(node, panel, stage, () => pictures)
  stage.addTool(models)

  onOutput(node, (output) => {
    if (!output.found_faces) return
    pictures = output.found_faces
    stage.show(pictures)
    tell()
  })
  onValues(node, ["select", "not_faces", "drawn_faces"], panel.signal, () => {
    if (!pictures.length) return
    stage.redraw()
    tell()
  })

  async function find() {
    stage.say(phrase("faces.searching"))
    const problem = await runAlone(node, "report").catch(String)
    if (problem) stage.say(problem)
    else if (pictures.length) tell()
    else stage.say(phrase("faces.none_came", { previews: inputName(node, "previews") }))
  }

  /** Why the faces cannot be clicked, or "". */
  function hindrance() {
    return isLinked(node, "select") ? phrase("linked", { input: inputName(node, "select") }) : word.hindrance()
  }

  function tell() {
    const all = pictures.map((picture, number) => ({ picture, number, decided: decidedOf(picture, number) }))
    const chosen = all.map(({ picture, number, decided }) => chosenFaces(select.value, picture, number, decided)?.length)
    const faces = sum(all.map(({ picture, decided }) => picture.faces.length - decided.struck.size - decided.gone.size))
    const struck = sum(all.map(({ decided }) => decided.struck.size))
    const parts = [phrase("faces.chosen", { chosen: sum(chosen.map((count) => count ?? 0)), all: faces })]
    if (struck) parts.push(phrase("faces.struck", { count: struck }))
    const fresh = sum(all.map(({ picture, number }) => newBoxes(picture, number).length))
    if (fresh) parts.push(phrase("faces.drawn", { count: fresh }))
    const said = parts.join(phrase("comma"))
    stage.say(hindrance() || (isOutdated(node, pictures) ? phrase("faces.outdated", { said }) : said))
  }

  /**
   * @param {FoundFaces} picture
   * @param {number} number of the picture, from 0
   * @param {number} index of the face, from 0
   */
  function decisionOn(picture, number, index) {
    const face = picture.faces[index]
    const struckBy = face.struck_by === null ? null : picture.not_faces[face.struck_by]
    const box = face.drawn_by === null ? null : picture.drawn_faces[face.drawn_by]
    const painted = face.drawn_by !== null && face.drawn_by >= picture.drawn_faces.length - picture.painted
    const typed = box !== null && word.drawn(number).some((other) => isSameBox(other, box))
    const drawn = typed || painted
    const find = { box: face.box, struckBy }
    return { find, box, typed, drawn, gone: !face.found && !drawn, struck: face.found && word.isStruck(picture, number, find) }
  }

  /**
   * What a person has decided by now.
   *
   * @param {FoundFaces} picture
   * @param {number} number
   * @returns {{ struck: Set<number>, drawn: Set<number>, gone: Set<number> }} numbers of faces from 1; gone are those
   *   that were drawn in the last run and since removed
   */
  function decidedOf(picture, number) {
    const decisions = picture.faces.map((_, index) => decisionOn(picture, number, index))
    const numbers = (/** @type {"struck" | "drawn" | "gone"} */ key) =>
      new Set(decisions.flatMap((decision, index) => (decision[key] ? [index + 1] : [])))
    return { struck: numbers("struck"), drawn: numbers("drawn"), gone: numbers("gone") }
  }

  /**
   * Boxes that were drawn since the last run.
   *
   * @param {FoundFaces} picture
   * @param {number} number
   */
  function newBoxes(picture, number) {
    return word.drawn(number).filter((box) => !picture.drawn_faces.some((other) => isSameBox(other, box)))
  }

  /**
   * @param {FoundFaces} picture
   * @param {HTMLElement} frame
   * @param {number} number
   */
  function draw(picture, frame, number) {
    frame.append(image(picture.preview, phrase("faces.picture")))
    const chosen = chosenFaces(select.value, picture, number, decidedOf(picture, number))
    picture.faces.forEach((_, index) => frame.append(...faceElements(picture, number, index, chosen ?? [])))
    for (const box of newBoxes(picture, number)) frame.append(...word.frameOf(picture, number, box, "+"))
    for (const each of facesIn(frame)) {
      each.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => move(frame, each, event), {
        signal: panel.signal,
      })
    }
    word.layer(picture, frame, number)
  }

  /**
   * @param {FoundFaces} picture
   * @param {number} number of the picture, from 0
   * @param {number} index of the face, from 0
   * @param {number[]} chosen numbers of faces, from 1
   * @returns {HTMLElement[]}
   */
  function faceElements(picture, number, index, chosen) {
    const { find, box, typed, drawn, gone, struck } = decisionOn(picture, number, index)
    if (gone) return []
    if (typed && box) return word.frameOf(picture, number, box, String(index + 1), find.box)
    const name = phrase("face", { number: index + 1 })
    const included = chosen.includes(index + 1)
    const says = struck
      ? phrase("faces.take_back", { face: name })
      : drawn
        ? phrase("faces.painted", { face: name, face_mask: inputName(node, "face_mask") })
        : phrase(included ? "faces.leave_out" : "faces.include", { face: name })
    const doubtful = picture.faces[index].doubtful && !struck
    const state = struck ? "faces.is_struck" : "faces.is_doubtful"
    const label = struck || doubtful ? phrase(state, { face: name }) : name
    const button = make(
      "button",
      `rp-face${struck ? " rp-struck" : ""}${doubtful ? " rp-doubtful" : ""}`,
      {
        type: "button",
        "aria-pressed": String(included),
        "aria-label": label,
        title: doubtful ? phrase("faces.doubtful", { says }) : says,
      },
      make("span", "rp-number", {}, doubtful ? `${index + 1}?` : String(index + 1)),
    )
    button.disabled = hindrance() !== "" || drawn
    place(button, find.box)
    button.style.zIndex = String(inFront(find.box))
    button.addEventListener("click", () => (struck ? undefined : toggle(button, number, index)), { signal: panel.signal })
    if (drawn) return [button]
    button.addEventListener(
      "keydown",
      (/** @type {KeyboardEvent} */ event) => {
        if (event.key !== "Delete" && event.key !== "Backspace") return
        event.stopPropagation()
        again(button, () => word.toggle(picture, number, find))
      },
      { signal: panel.signal },
    )
    return [button, word.strike(picture, number, find, name)]
  }

  /**
   * @param {HTMLElement} button of the face
   * @param {number} number of the picture, from 0
   * @param {number} index of the face, from 0
   */
  function toggle(button, number, index) {
    const text = toggledChoice(select.value, pictures, number, index + 1, decidedOf(pictures[number], number))
    again(button, () => setValue(node, select, text))
  }
}

/**
 * Change something that redraws the buttons, and keep the focus where it was.
 *
 * @param {HTMLElement} button
 * @param {() => void} change
 */
function again(button, change) {
  const view = /** @type {HTMLElement} */ (button.closest(".rp-view"))
  const place = [...facesIn(view)].indexOf(button)
  change()
  facesIn(view)[place]?.focus()
}

/** @param {number[]} numbers */
function sum(numbers) {
  return numbers.reduce((total, number) => total + number, 0)
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
 * @param {HTMLElement} face
 * @param {KeyboardEvent} event
 */
function move(frame, face, event) {
  const step = event.ctrlKey ? undefined : { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key]
  if (step) {
    const faces = facesIn(frame)
    const index = [...faces].indexOf(face)
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
