// @ts-check
/** What the panels say, in the language of the editor; in English where it has no phrase of its own. */

import { app } from "../../scripts/app.js"

import { ENGLISH, LANGUAGES, readPhrases } from "./phrase_files.js"

/** @typedef {import("./phrase_files.js").Phrases} Phrases */

/** @type {{ language: string, english: Phrases, own: Phrases }} */
const known = { language: ENGLISH, english: {}, own: {} }

/** Read the phrases of the language that the editor speaks now. Panels that exist keep theirs. */
export async function learnPhrases() {
  const language = editorLanguage()
  const [english, own] = await Promise.all([ENGLISH, language].map((one) => readPhrases("panels", one)))
  Object.assign(known, { language, english, own })
}

/** The editor's language, as a language tag; English if there are no phrases in it. */
export function editorLanguage() {
  const language = String(app.extensionManager.setting.get("Comfy.Locale"))
  return LANGUAGES.includes(language) ? language : ENGLISH
}

/**
 * A phrase with values in the place of `{name}`.
 *
 * @param {string} key
 * @param {Record<string, string | number>} [values]
 * @returns {string}
 */
export function phrase(key, values = {}) {
  const said = known.own[key] ?? known.english[key] ?? key
  return said.replace(/\{(\w+)\}/g, (_, name) => isolated(values[name]))
}

/**
 * A value as it stands in a phrase. One in another direction must not take the words around it along.
 *
 * @param {string | number} value
 */
function isolated(value) {
  return direction() === "rtl" && typeof value === "string" ? `\u2068${value}\u2069` : String(value)
}

/**
 * What the server said in English.
 *
 * @param {string} text
 * @param {string} group in which it is a phrase: "status" for `status.anonymised`
 * @param {(value: string) => string} [ofValue] translates the values in it
 * @returns {string} the text itself if it is no phrase of the group
 */
export function translated(text, group, ofValue = (value) => value) {
  for (const [key, said] of Object.entries(known.english)) {
    if (!key.startsWith(`${group}.`)) continue
    const found = patternOf(said).exec(text)
    if (!found) continue
    const values = Object.entries(found.groups ?? {}).map(([name, value]) => [name, ofValue(value)])
    return phrase(key, Object.fromEntries(values))
  }
  return text
}

/**
 * What recognises a phrase, whatever its values are.
 *
 * @param {string} said
 */
function patternOf(said) {
  const literal = said.replace(/[.*+?^$()|[\]\\]/g, "\\$&")
  return new RegExp(`^${literal.replace(/\{(\w+)\}/g, "(?<$1>.+)")}$`)
}

/**
 * The editor's name for an input.
 *
 * @param {any} node
 * @param {string} name
 * @returns {string}
 */
export function inputName(node, name) {
  const slot = [...(node.widgets ?? []), ...(node.inputs ?? [])].find((one) => one.name === name)
  return slot?.label ?? slot?.localized_name ?? name
}

/**
 * Several names as one: "age and sex".
 *
 * @param {string[]} names
 */
export function allOf(names) {
  return new Intl.ListFormat(known.language, { type: "conjunction" }).format(names)
}

/**
 * A number of bytes, in megabytes.
 *
 * @param {number} bytes
 */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toLocaleString(known.language, { maximumFractionDigits: 1 })} MB`
}

/** "rtl" in a language that is written from right to left. */
export function direction() {
  return RIGHT_TO_LEFT.includes(known.language) ? "rtl" : "ltr"
}

const RIGHT_TO_LEFT = ["ar", "fa", "he"]
