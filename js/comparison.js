// @ts-check
/** Identity Check and Save Anonymized Image: before and after under a slider, and what became of every face. */

import { badge, drawBeforeAfter, thresholdWords } from "./before_after.js"
import { openFullScreen } from "./full_screen.js"
import { onOutput } from "./outputs.js"
import { addPanel, isOutdated, make, onValues } from "./panel.js"
import { phrase } from "./phrases.js"
import { addStage } from "./stage.js"
import { addWord } from "./word.js"

const HEIGHT = 280

/** @typedef {import("./before_after.js").Compared} Compared */

/** @param {any} node */
export function addComparison(node) {
  /** @type {Compared[]} */
  let pictures = []
  const empty = phrase("check.empty")
  const { panel, stage, show } = addBeforeAfter(node, empty, () => pictures, (picture, frame, number) => {
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
    // A run without previews is not the one before it, whose pictures are then shown no longer.
    pictures = output.comparison ?? []
    show(pictures)
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
  /** @type {Compared[]} */
  let pictures = []
  // The panel shows the saved picture; the editor's own preview, in either renderer, would show it once more.
  node.hideOutputImages = true
  node.onDrawBackground = () => {}
  const { show } = addBeforeAfter(node, phrase("save.empty"), () => pictures, (_, frame) => {
    // What the node's menu opens, copies and saves.
    node.imgs = [frame.querySelector(".rp-after")]
    node.imageIndex = 0
  })
  onOutput(node, (output) => {
    if (!output.comparison) return
    pictures = output.comparison
    show(pictures)
  })
}

/**
 * @param {any} node
 * @param {string} empty shown before the first run
 * @param {() => Compared[]} pictures that are shown
 * @param {(picture: Compared, frame: HTMLElement, number: number) => void} more is drawn over every picture
 */
function addBeforeAfter(node, empty, pictures, more) {
  const panel = addPanel(node, "before_after", HEIGHT)
  const badges = make("ul", "rp-badges", { "aria-label": phrase("check.faces") })
  const source = make("div", "rp-label")
  const stage = addStage(panel, empty, (/** @type {Compared} */ picture, frame, number) => {
    drawBeforeAfter(picture, frame, panel.signal)
    badges.replaceChildren(...picture.faces.map((face, index) => badge(face, index, picture.threshold)))
    source.textContent = thresholdWords(picture)
    more(picture, frame, number)
  })
  const full = make("button", "rp-button rp-whole", { type: "button", title: phrase("full.title") }, phrase("full.open"))
  full.disabled = true
  full.addEventListener("click", () => openFullScreen(pictures(), stage.shown()), { signal: panel.signal })
  stage.addTool(full)
  panel.element.append(badges, source)

  /** @param {Compared[]} given */
  function show(given) {
    full.disabled = given.length === 0
    badges.replaceChildren()
    source.textContent = ""
    stage.show(given)
  }

  return { panel, stage, show }
}
