// @ts-check
/** The texts of `not_faces` and `drawn_faces`: boxes of every picture. `boxes_of_images` in Python defines them. */

/** @typedef {number[]} Box left, top, right and bottom in pixels of the picture */

/**
 * @param {string} text
 * @param {number} index of the picture in its batch, from 0
 * @returns {Box[] | null} its boxes, null if the text cannot be read
 */
export function readBoxes(text, index) {
  const groups = text.split(";")
  const group = groups.length === 1 ? groups[0] : (groups[index] ?? "")
  const boxes = group
    .replace(/\s*,\s*/g, ",")
    .split(/\s+/)
    .filter(Boolean)
    .map((box) => box.split(",").map(Number))
  const readable = boxes.every(
    ([x0, y0, x1, y1, ...more]) => !more.length && [x0, y0, x1, y1].every(Number.isFinite) && x0 < x1 && y0 < y1,
  )
  return readable ? boxes : null
}

/**
 * The text after the boxes of one picture have changed.
 *
 * @param {string} text that can be read
 * @param {number} count pictures of the batch
 * @param {number} index of the picture, from 0
 * @param {Box[]} boxes of this picture
 * @returns {string}
 */
export function withBoxes(text, count, index, boxes) {
  const groups = Array.from({ length: count }, (_, place) => (place === index ? boxes : (readBoxes(text, place) ?? [])))
  const written = groups.map((group) => group.map((box) => box.join(",")).join(" "))
  return written.some(Boolean) ? written.join("; ") : ""
}

/**
 * @param {Box} a
 * @param {Box | null} b
 */
export function isSameBox(a, b) {
  return b !== null && a.every((side, place) => side === b[place])
}

/**
 * @param {number[]} parts a box in fractions of the picture's sides
 * @param {{ width: number, height: number }} picture
 * @returns {Box} in whole pixels, at least one wide and high
 */
export function inPixels([x0, y0, x1, y1], { width, height }) {
  const [left, top] = [Math.round(x0 * width), Math.round(y0 * height)]
  return [left, top, Math.max(left + 1, Math.round(x1 * width)), Math.max(top + 1, Math.round(y1 * height))]
}

/**
 * @param {Box} box
 * @param {{ width: number, height: number }} picture
 * @returns {number[]} in fractions of the picture's sides
 */
export function inFractions([x0, y0, x1, y1], { width, height }) {
  return [x0 / width, y0 / height, x1 / width, y1 / height]
}

/**
 * The boxes after a find was struck out, or taken back if one of them strikes it out already.
 *
 * @param {Box[]} boxes
 * @param {Box[]} own boxes that strike the find out; the first is its own
 * @returns {Box[]}
 */
export function toggledStrike(boxes, own) {
  const left = boxes.filter((box) => !own.some((other) => isSameBox(box, other)))
  return left.length < boxes.length ? left : [...boxes, own[0]]
}
