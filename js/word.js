// @ts-check
/** A person's word about the faces in a panel: "this is no face", by a button on each, and "here is one", by a box. */

import { inFractions, inPixels, isSameBox, readBoxes, toggledStrike, withBoxes } from "./decisions.js"
import { isLinked, make, setValue, widgetOf } from "./panel.js"
import { inputName, phrase } from "./phrases.js"
import { place } from "./stage.js"

/** @typedef {import("./decisions.js").Box} Box */

/**
 * @typedef {object} Judged a picture that is shown
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} batch pictures of its batch
 */

/**
 * @typedef {object} Word
 * @property {() => string} hindrance why nobody can say more, or ""
 * @property {(picture: Judged, number: number, find: Find) => boolean} isStruck
 * @property {(number: number) => Box[]} drawn boxes of the picture with this number, from 0
 * @property {(picture: Judged, number: number, find: Find) => void} toggle strike a find out, or take it back
 * @property {(picture: Judged, number: number, find: Find, name: string) => HTMLElement} strike the button that does
 * @property {(picture: Judged, number: number, box: Box, label: string, parts?: number[]) => HTMLElement[]} frameOf
 *   the frame of a drawn box, and what removes it
 * @property {(picture: Judged, frame: HTMLElement, number: number) => void} layer where boxes are drawn, while they are
 */

/**
 * @typedef {object} Find
 * @property {number[]} box in fractions of the picture's sides
 * @property {Box | null} struckBy the box that struck it out in the last run
 */

/** Pixels of the picture: a shorter side is a slip of the hand. */
const SHORTEST = 4

/** Fraction of the picture's shorter side: how far a key moves a drawn box, and the side of one made by a key. */
const STEP = 0.02
const SIDE = 0.25

/**
 * @param {any} node with the widgets `not_faces` and `drawn_faces`
 * @param {import("./panel.js").Panel} panel
 * @param {import("./stage.js").Stage} stage
 * @param {() => Judged[]} pictures that are shown
 * @returns {Word}
 */
export function addWord(node, panel, stage, pictures) {
  const [notFaces, drawnFaces] = [widgetOf(node, "not_faces"), widgetOf(node, "drawn_faces")]
  const title = phrase("word.draw_title")
  const tool = make("button", "rp-tool", { type: "button", title, "aria-pressed": "false" }, phrase("word.draw"))
  tool.addEventListener("click", start, { signal: panel.signal })
  tool.disabled = true
  stage.addTool(tool)
  let drawing = false

  function hindrance() {
    for (const name of ["not_faces", "drawn_faces"]) {
      if (isLinked(node, name)) return phrase("linked", { input: inputName(node, name) })
      const text = widgetOf(node, name).value
      if (pictures().some((_, number) => readBoxes(text, number) === null)) return phrase("word.unreadable", { input: inputName(node, name) })
    }
    const all = pictures()
    return all.length && all.length !== all[0].batch ? phrase("word.shared") : ""
  }

  /**
   * @param {any} widget
   * @param {number} number of the picture, from 0
   * @param {Box[]} boxes
   */
  function say(widget, number, boxes) {
    setValue(node, widget, withBoxes(widget.value, pictures()[number].batch, number, boxes))
  }

  /** @param {MouseEvent} event */
  function start(event) {
    if (hindrance() || !pictures().length) return
    // A key has no place to draw at.
    if (event.detail === 0) addInTheMiddle()
    else setDrawing(!drawing)
  }

  /** @param {boolean} on */
  function setDrawing(on) {
    drawing = on
    tool.setAttribute("aria-pressed", String(on))
    stage.redraw()
  }

  function addInTheMiddle() {
    const number = stage.shown()
    const { width, height } = pictures()[number]
    const side = Math.max(SHORTEST, Math.round(SIDE * Math.min(width, height)))
    const [left, top] = [Math.round((width - side) / 2), Math.round((height - side) / 2)]
    const box = [left, top, left + side, top + side]
    add(number, box)
    focusFrame(box)
  }

  /** @param {Box} box whose frame has been redrawn */
  function focusFrame(box) {
    const frame = panel.element.querySelector(`.rp-drawn[data-box="${box}"]`)
    if (frame) /** @type {HTMLElement} */ (frame).focus()
  }

  /**
   * @param {number} number of the picture, from 0
   * @param {Box} box
   */
  function add(number, box) {
    say(drawnFaces, number, [...drawn(number), box])
  }

  /** @param {number} number */
  function drawn(number) {
    return readBoxes(drawnFaces.value, number) ?? []
  }

  /**
   * @param {Judged} picture
   * @param {Find} find
   */
  function ownBoxes(picture, find) {
    return [inPixels(find.box, picture), ...(find.struckBy ? [find.struckBy] : [])]
  }

  /** @type {Word["isStruck"]} */
  function isStruck(picture, number, find) {
    const boxes = readBoxes(notFaces.value, number) ?? []
    return boxes.some((box) => ownBoxes(picture, find).some((own) => isSameBox(box, own)))
  }

  /** @type {Word["toggle"]} */
  function toggle(picture, number, find) {
    if (hindrance()) return
    say(notFaces, number, toggledStrike(readBoxes(notFaces.value, number) ?? [], ownBoxes(picture, find)))
  }

  /** @type {Word["strike"]} */
  function strike(picture, number, find, name) {
    const struck = isStruck(picture, number, find)
    const does = phrase(struck ? "word.take_back" : "word.strike", { face: name })
    const button = make(
      "button",
      "rp-strike",
      { type: "button", title: does, "aria-label": does, "aria-pressed": String(struck) },
      struck ? "\u21ba" : "\u2715",
    )
    button.disabled = hindrance() !== ""
    corner(button, find.box)
    button.addEventListener(
      "click",
      () => {
        const place = strikes().indexOf(button)
        toggle(picture, number, find)
        // The buttons have been redrawn.
        strikes()[place]?.focus()
      },
      { signal: panel.signal },
    )
    return button
  }

  /** @returns {HTMLElement[]} */
  function strikes() {
    return [...panel.element.querySelectorAll(".rp-strike:not(.rp-remove)")].map((each) => /** @type {HTMLElement} */ (each))
  }

  /** @type {Word["frameOf"]} */
  function frameOf(picture, number, box, label, parts = inFractions(box, picture)) {
    const title = phrase("word.drawn", { face: label })
    const frame = make(
      "button",
      "rp-face rp-drawn",
      { type: "button", title, "aria-label": title, "aria-pressed": "true", "data-box": String(box) },
      make("span", "rp-number", {}, label),
    )
    place(frame, parts)
    frame.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const changed = byKey(event, box, picture)
      if (changed === undefined) return
      event.preventDefault()
      event.stopPropagation()
      change(number, box, changed)
    })
    const does = phrase("word.remove", { face: label })
    const remove = make("button", "rp-strike rp-remove", { type: "button", title: does, "aria-label": does }, "\u2715")
    corner(remove, parts)
    remove.addEventListener("click", () => change(number, box, null))
    for (const button of [frame, remove]) button.disabled = hindrance() !== ""
    return [frame, remove]
  }

  /**
   * Put another box in the place of a drawn one, or none.
   *
   * @param {number} number of the picture, from 0
   * @param {Box} box
   * @param {Box | null} other
   */
  function change(number, box, other) {
    if (panel.signal.aborted || hindrance()) return
    const boxes = drawn(number)
    const place = boxes.findIndex((each) => isSameBox(each, box))
    if (place < 0) return
    say(drawnFaces, number, boxes.flatMap((each, index) => (index !== place ? [each] : other ? [other] : [])))
    if (other) focusFrame(other)
  }

  /** @type {Word["layer"]} */
  function layer(picture, frame, number) {
    tool.disabled = hindrance() !== ""
    if (!drawing) return
    const surface = make("div", "rp-surface", { "aria-label": title })
    const rubber = make("span", "rp-rubber")
    /** @type {number[] | null} */
    let from = null
    /** @param {PointerEvent} event */
    const at = (event) => {
      const { left, top, width, height } = surface.getBoundingClientRect()
      const inside = (/** @type {number} */ part) => Math.min(1, Math.max(0, part))
      return [inside((event.clientX - left) / width), inside((event.clientY - top) / height)]
    }
    /** @param {PointerEvent} event */
    const between = (event) => {
      const [x, y] = at(event)
      const [a, b] = from ?? [x, y]
      return [Math.min(a, x), Math.min(b, y), Math.max(a, x), Math.max(b, y)]
    }
    /** @type {Record<string, (event: PointerEvent) => void>} */
    const steps = {
      pointerdown(event) {
        if (event.button !== 0) return
        from = at(event)
        surface.setPointerCapture(event.pointerId)
        surface.append(rubber)
        place(rubber, between(event))
      },
      pointermove(event) {
        if (from) place(rubber, between(event))
      },
      pointerup(event) {
        if (!from) return
        const box = inPixels(between(event), picture)
        from = null
        rubber.remove()
        if (Math.min(box[2] - box[0], box[3] - box[1]) < SHORTEST) return
        setDrawing(false)
        add(number, box)
      },
      pointercancel() {
        from = null
        rubber.remove()
      },
    }
    for (const [name, step] of Object.entries(steps))
      surface.addEventListener(
        name,
        (/** @type {PointerEvent} */ event) => {
          // Drawing a box neither moves the node nor selects on the canvas.
          event.stopPropagation()
          event.preventDefault()
          step(event)
        },
        { signal: panel.signal },
      )
    frame.append(surface)
  }

  panel.element.addEventListener(
    "keydown",
    (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || !drawing) return
      event.stopPropagation()
      setDrawing(false)
    },
    { signal: panel.signal },
  )

  return {
    hindrance,
    isStruck,
    drawn,
    toggle,
    strike,
    frameOf,
    layer,
  }
}

/**
 * Put a button at the upper right corner of a box.
 *
 * @param {HTMLElement} element
 * @param {number[]} box in fractions of the picture's sides
 */
function corner(element, [x0, y0, x1]) {
  const inside = (/** @type {number} */ part) => 100 * Math.min(1, Math.max(0, part))
  element.style.setProperty("--rp-x", `${inside(x1)}%`)
  element.style.setProperty("--rp-y", `${inside(y0)}%`)
  element.style.setProperty("--rp-w", `${inside(x1) - inside(x0)}%`)
}

/**
 * What a key makes of a drawn box.
 *
 * @param {KeyboardEvent} event
 * @param {Box} box
 * @param {Judged} picture
 * @returns {Box | null | undefined} the box, null if it is removed, undefined if the key means something else
 */
function byKey(event, [x0, y0, x1, y1], { width, height }) {
  if (event.key === "Delete" || event.key === "Backspace") return null
  const turn = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key]
  if (!turn || !event.ctrlKey) return undefined
  const step = Math.max(1, Math.round(STEP * Math.min(width, height)))
  const [dx, dy] = turn.map((sign) => sign * step)
  if (event.shiftKey) return [x0, y0, Math.max(x0 + SHORTEST, x1 + dx), Math.max(y0 + SHORTEST, y1 + dy)]
  const moved = [x0 + dx, y0 + dy, x1 + dx, y1 + dy]
  const outside = moved[2] <= 0 || moved[3] <= 0 || moved[0] >= width || moved[1] >= height
  return outside ? [x0, y0, x1, y1] : moved
}
