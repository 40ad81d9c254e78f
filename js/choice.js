// @ts-check
/** The text of `select`: what it chooses, and how it reads after a click. `parse_choice` in Python defines it. */

/**
 * @typedef {object} FoundFaces a picture, as Embed Faces describes it
 * @property {Record<string, string>} preview
 * @property {Record<string, string>} asked what the run got, by input
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} batch pictures of its batch
 * @property {Box[]} not_faces what a person struck out in the last run
 * @property {Box[]} drawn_faces what a person drew
 * @property {number} painted how many of these, the last, are regions of a mask
 * @property {{ box: number[], found: boolean, doubtful: boolean, struck_by: number | null,
 *   drawn_by: number | null }[]} faces in their
 *   order, numbered from 1; found or only drawn; by which box struck out or drawn
 * @property {number[]} by_size numbers of the faces, the largest first
 */

/** @typedef {import("./decisions.js").Box} Box */

/**
 * @typedef {object} Decided what a person has decided since then
 * @property {Set<number>} struck numbers of the faces that are struck out
 * @property {Set<number>} drawn numbers of the faces that are drawn
 */

/** @type {Decided} */
const NOTHING = { struck: new Set(), drawn: new Set() }

/**
 * @param {string} select
 * @param {FoundFaces} picture
 * @param {number} index of the picture in its batch, from 0
 * @param {Decided} [decided]
 * @returns {number[] | null} numbers of the chosen faces, null if the text says nothing about this picture
 */
export function chosenFaces(select, picture, index, { struck, drawn } = NOTHING) {
  const choice = choiceOf(select, index)
  const left = picture.by_size.filter((number) => !struck.has(number))
  if (choice === "none") return []
  const numbers = { all: left, largest: left.slice(0, 1) }[choice] ?? choice.split(",").map((part) => Number(part.trim()))
  if (!numbers.every((number) => Number.isInteger(number) && number >= 1)) return null
  const chosen = new Set([...numbers, ...drawn])
  return [...chosen].filter((number) => !struck.has(number)).sort((a, b) => a - b)
}

/**
 * The text after a face was clicked.
 *
 * @param {string} select
 * @param {FoundFaces[]} pictures of one batch
 * @param {number} index of the picture, from 0
 * @param {number} number of the face, from 1
 * @param {Decided} [decided]
 * @returns {string}
 */
export function toggledChoice(select, pictures, index, number, decided = NOTHING) {
  const choices = pictures.map((_, place) => choiceOf(select, place))
  const before = chosenFaces(select, pictures[index], index, decided) ?? []
  const there = before.filter((other) => other <= pictures[index].faces.length)
  const after = there.includes(number) ? there.filter((other) => other !== number) : [...there, number]
  choices[index] = written(after, pictures[index].faces.length - decided.struck.size)
  return choices.every((choice) => choice === choices[0]) ? choices[0] : choices.join("; ")
}

/**
 * @param {string} select
 * @param {number} index
 */
function choiceOf(select, index) {
  const parts = select.split(";")
  return (parts.length === 1 ? parts[0] : (parts[index] ?? "")).trim().toLowerCase()
}

/**
 * @param {number[]} numbers
 * @param {number} count of the faces that can be chosen
 */
function written(numbers, count) {
  if (!numbers.length) return "none"
  if (numbers.length === count) return "all"
  return numbers.sort((a, b) => a - b).join(",")
}
