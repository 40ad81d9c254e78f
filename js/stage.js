// @ts-check
/** One picture of several, as large as the panel allows, with what a node draws over it. */

import { api } from "../../scripts/api.js"

import { make } from "./panel.js"
import { phrase } from "./phrases.js"

/**
 * @typedef {object} Picture what a node says about a picture, besides what it draws over it
 * @property {number} width pixels
 * @property {number} height pixels
 */

/**
 * @typedef {object} Stage
 * @property {(pictures: any[], number?: number) => void} show number, from 0, is shown; else the one that was
 * @property {() => void} redraw the picture that is shown
 * @property {(text: string) => void} say something under the picture
 * @property {(tool: HTMLElement) => void} addTool before that
 * @property {() => number} shown which picture is shown, from 0
 */

/**
 * @param {import("./panel.js").Panel} panel
 * @param {string} empty shown before there is a picture
 * @param {(picture: any, frame: HTMLElement, number: number) => void} draw fills a frame of the picture's shape
 * @returns {Stage}
 */
export function addStage(panel, empty, draw) {
  const nothing = make("p", "rp-empty", {}, empty)
  const view = make("div", "rp-view", {}, nothing)
  const count = make("span")
  const pager = make("span", "rp-pager", {}, turn("\u2039", phrase("picture.previous"), -1), count, turn("\u203a", phrase("picture.next"), 1))
  const note = make("span", "rp-note", { role: "status" })
  const bar = make("div", "rp-bar", {}, pager, note)
  panel.element.append(view, bar)
  pager.hidden = true

  /** @type {any[]} */
  let pictures = []
  let shown = 0

  /**
   * @param {string} label
   * @param {string} title
   * @param {number} step
   */
  function turn(label, title, step) {
    const button = make("button", "rp-turn", { type: "button", title, "aria-label": title }, label)
    button.addEventListener(
      "click",
      () => {
        shown = (shown + step + pictures.length) % pictures.length
        redraw()
      },
      { signal: panel.signal },
    )
    return button
  }

  function redraw() {
    pager.hidden = pictures.length < 2
    if (!pictures.length) {
      view.replaceChildren(nothing)
      return
    }
    const picture = pictures[shown]
    const frame = make("div", "rp-frame")
    frame.style.setProperty("--rp-ratio", String(picture.width / picture.height))
    draw(picture, frame, shown)
    view.replaceChildren(frame)
    count.textContent = `${shown + 1} / ${pictures.length}`
  }

  return {
    show(given, number = shown) {
      pictures = given
      shown = Math.min(number, Math.max(0, given.length - 1))
      redraw()
    },
    redraw,
    say(text) {
      note.textContent = text
    },
    addTool(tool) {
      bar.insertBefore(tool, note)
    },
    shown() {
      return shown
    },
  }
}

/**
 * A picture from the server.
 *
 * @param {Record<string, string>} file "filename", "subfolder" and "type"
 * @param {string} alt
 * @returns {HTMLImageElement}
 */
export function image(file, alt) {
  const { filename, subfolder, type } = file
  return make("img", "", { src: api.apiURL(`/view?${new URLSearchParams({ filename, subfolder, type })}`), alt, draggable: "false" })
}

/**
 * Put an element where a box of the picture is.
 *
 * @param {HTMLElement} element
 * @param {number[]} box x0, y0, x1, y1 in fractions of the picture's sides; may reach outside
 */
export function place(element, box) {
  const [x0, y0, x1, y1] = box.map((part) => 100 * Math.min(1, Math.max(0, part)))
  Object.assign(element.style, { left: `${x0}%`, top: `${y0}%`, width: `${x1 - x0}%`, height: `${y1 - y0}%` })
}
