// @ts-check
/** The files in `phrases/`: what the panels say and what is written in the shipped graphs, by language. */

/** @typedef {Record<string, string>} Phrases by key */

export const ENGLISH = "en"

/** The editor's languages. Nothing asks for files of others: the editor's log would show that they are missing. */
export const LANGUAGES = [ENGLISH, "ar", "es", "fa", "fr", "he", "ja", "ko", "pt-BR", "ru", "tr", "zh", "zh-TW"]

/** @type {Map<string, Promise<Phrases>>} */
const read = new Map()

/**
 * @param {"panels" | "graphs"} kind
 * @param {string} language
 * @returns {Promise<Phrases>} none in a language without a file, or if the server does not answer
 */
export function readPhrases(kind, language) {
  if (!LANGUAGES.includes(language)) return Promise.resolve({})
  const { href } = new URL(`./phrases/${kind}/${language}.json`, import.meta.url)
  const phrases = read.get(href) ?? ask(href)
  read.set(href, phrases)
  return phrases
}

/**
 * @param {string} href
 * @returns {Promise<Phrases>}
 */
async function ask(href) {
  try {
    const answer = await fetch(href)
    if (answer.ok) return await answer.json()
  } catch {
    // The editor says itself that it has lost the server.
  }
  read.delete(href)
  return {}
}
