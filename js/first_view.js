// @ts-check
/**
 * Where a shipped workflow opens. The host shows a template whole, and of one that is wider than the screen then writes no
 * node's title; so it opens at its left end, where the note and the first nodes are, as near as its height allows.
 */

import { app } from "../../scripts/app.js"

/** Key among what a graph carries besides; `scripts/workflow_generator/texts.py` writes it. */
const FIRST_VIEW = "reverse_personalization_first_view"

/** Least scale at which the canvas writes a node's title: it has 14 pixels, and below 8 the host leaves letters out. */
const LEGIBLE = 8 / 14

/** Pixels of the canvas that stay free: the host's sidebar, tabs and tools lie over it. */
const LEFT = 76
const TOP = 92
const BOTTOM = 36

const TITLE_BAR = 30

let isFirst = false

/**
 * Remember whether a workflow that is about to be loaded is as it was shipped. From then on its view is the user's.
 *
 * @param {any} workflow as the editor stores it
 */
export function takeFirstView(workflow) {
  isFirst = Boolean(workflow.extra?.[FIRST_VIEW])
  if (isFirst) delete workflow.extra[FIRST_VIEW]
}

/** Show the left end of a workflow that has been loaded as it was shipped, unless all of it is legible. */
export function showFirstView() {
  const { ds } = app.canvas
  if (!isFirst || ds.scale >= LEGIBLE) return
  const { nodes, groups } = app.rootGraph
  const boxes = [
    ...nodes.map(({ pos, size }) => ({ left: pos[0], top: pos[1] - TITLE_BAR, bottom: pos[1] + size[1] })),
    ...groups.map(({ pos, size }) => ({ left: pos[0], top: pos[1], bottom: pos[1] + size[1] })),
  ]
  const top = Math.min(...boxes.map((box) => box.top))
  const height = Math.max(...boxes.map((box) => box.bottom)) - top
  const room = ds.element.height / devicePixelRatio - TOP - BOTTOM
  ds.scale = Math.min(1, Math.max(LEGIBLE, room / height))
  ds.offset[0] = LEFT / ds.scale - Math.min(...boxes.map((box) => box.left))
  ds.offset[1] = TOP / ds.scale - top
  app.canvas.setDirty(true, true)
}
