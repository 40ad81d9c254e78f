// @ts-check
/** The text of `select`: what it chooses, and how it reads after a click. `parse_choice` in Python defines it. */

/**
 * @typedef {object} FoundFaces a picture, as Embed Faces describes it
 * @property {Record<string, string>} preview
 * @property {number} width pixels
 * @property {number} height pixels
 * @property {number} batch pictures of its batch
 * @property {{ box: number[] }[]} faces in their order, numbered from 1
 * @property {Record<string, number[]>} words the numbers that each word chooses
 */

/**
 * @param {string} select
 * @param {FoundFaces} picture
 * @param {number} index of the picture in its batch, from 0
 * @returns {number[] | null} numbers of the chosen faces, null if the text says nothing about this picture
 */
export function chosenFaces(select, picture, index) {
  const choice = choiceOf(select, index)
  if (choice in picture.words) return picture.words[choice]
  const numbers = choice.split(",").map((part) => Number(part.trim()))
  return numbers.every((number) => Number.isInteger(number) && number >= 1) ? numbers : null
}

/**
 * The text after a face was clicked.
 *
 * @param {string} select
 * @param {FoundFaces[]} pictures of one batch
 * @param {number} index of the picture, from 0
 * @param {number} number of the face, from 1
 * @returns {string}
 */
export function toggledChoice(select, pictures, index, number) {
  const choices = pictures.map((_, place) => choiceOf(select, place))
  const before = chosenFaces(select, pictures[index], index) ?? []
  const there = before.filter((other) => other <= pictures[index].faces.length)
  const after = there.includes(number) ? there.filter((other) => other !== number) : [...there, number]
  choices[index] = written(after, pictures[index])
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
 * @param {FoundFaces} picture
 */
function written(numbers, picture) {
  if (!numbers.length) return "none"
  if (numbers.length === picture.faces.length) return "all"
  return numbers.sort((a, b) => a - b).join(",")
}
