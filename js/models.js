// @ts-check
/** A list of every model file that the graph needs: there or not, where it belongs, and whether it is what is expected. */

import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

import { make } from "./panel.js"
import { direction, megabytes, phrase, translated } from "./phrases.js"

export const MODEL_FILE = /\.(safetensors|ckpt|pt|pt2|pth|bin|gguf|sft|onnx)$/i

/** Inputs that name a recogniser: a folder or, of a checker, also a file. */
const RECOGNISERS = ["model_pack", "checker"]

/** Milliseconds between two questions about files that the server is still reading. */
const AGAIN = 1000

/**
 * @typedef {object} Needed a file, as `host/needed_models.py` describes it
 * @property {string} name
 * @property {string} place
 * @property {number} folders
 * @property {boolean} there
 * @property {number | null} bytes
 * @property {{ url: string, licence: string, bytes: number | null, download: number | null, sha256: string | null } | null} expected
 * @property {boolean} other
 */

/** @param {any} node */
export function addModelsButton(node) {
  const button = node.addWidget("button", phrase("models.button"), null, () => showModels(), { serialize: false })
  button.serialize = false
  button.tooltip = phrase("models.title")
}

/** Open the list. */
export async function showModels() {
  const list = make("div", "rp-model-list", {}, phrase("models.looking"))
  const hashes = make("button", "", { type: "button" }, phrase("models.compare"))
  const close = make("button", "", { type: "button" }, phrase("models.close"))
  const note = make("span", "rp-note", { role: "status" })
  const style = make("link", "", { rel: "stylesheet", href: new URL("./models.css", import.meta.url).href })
  const bar = make("div", "rp-bar", {}, hashes, close, note)
  const title = phrase("models.heading")
  const attributes = { "aria-label": title, dir: direction() }
  const dialog = make("dialog", "rp-models", attributes, style, make("h2", "", {}, title), list, bar)
  // Keys that are meant for the list do not reach the canvas.
  dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => event.stopPropagation())
  dialog.addEventListener("close", () => dialog.remove())
  close.addEventListener("click", () => dialog.close())
  document.body.append(dialog)
  dialog.showModal()
  try {
    const named = namedModels((await app.graphToPrompt()).output)
    const query = new URLSearchParams([...named.files.map((name) => ["file", name]), ...named.packs.map((name) => ["pack", name])])
    const rows = /** @type {Needed[]} */ (await asked(`/reverse_personalization/models?${query}`))
    list.replaceChildren(table(rows))
    hashes.addEventListener("click", async () => {
      hashes.disabled = true
      note.textContent = phrase("models.reading")
      note.textContent = await compareHashes(named, rows, list).catch(String)
      hashes.disabled = false
    })
  } catch (error) {
    list.replaceChildren(String(error))
  }
}

/**
 * @param {Record<string, { inputs: Record<string, unknown> }>} prompt in API form
 * @returns {{ files: string[], packs: string[], guides: string[], checkers: string[] }} names, each once
 */
function namedModels(prompt) {
  const texts = Object.values(prompt).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, value]) => typeof value === "string"),
  )
  const of = (/** @type {(key: string, value: string) => boolean} */ wanted) =>
    [...new Set(texts.filter(([key, value]) => wanted(key, String(value))).map(([, value]) => String(value)))]
  return {
    files: of((key, value) => MODEL_FILE.test(value) && !RECOGNISERS.includes(key)),
    packs: of((key) => RECOGNISERS.includes(key)),
    guides: of((key) => key === "model_pack"),
    checkers: of((key) => key === "checker"),
  }
}

/**
 * @param {string} path
 * @returns {Promise<any>}
 */
async function asked(path) {
  const answer = await api.fetchApi(path)
  if (answer.status === 202) {
    await new Promise((done) => setTimeout(done, AGAIN))
    return asked(path)
  }
  const said = await answer.json()
  if (!answer.ok) throw new Error(said.error)
  return said
}

/** @param {Needed[]} rows */
function table(rows) {
  const columns = ["file", "state", "place", "download", "size", "licence", "hash"]
  const heads = columns.map((column) => make("th", "", {}, phrase(`models.column.${column}`)))
  return make("table", "", {}, make("tr", "", {}, ...heads), ...rows.map(row))
}

/** @param {Needed} needed */
function row(needed) {
  const { name, place, folders, there, bytes, expected, other } = needed
  const state = !there ? "missing" : other ? "other" : "there"
  const inside = place === "insightface/models" && !MODEL_FILE.test(name) ? `/${name}` : ""
  const folder = place ? `models/${place}${inside}` : phrase("models.some_folder")
  const link = expected ? make("a", "", { href: expected.url, target: "_blank", rel: "noreferrer" }, hostOf(expected.url)) : phrase("models.unknown")
  const size = bytes ?? expected?.bytes
  const packed = expected?.download ? phrase("models.packed", { size: megabytes(expected.download) }) : ""
  const cells = [
    name,
    make("b", `rp-state-${there && !other ? "there" : "missing"}`, {}, phrase(`models.state.${state}`)),
    folders > 1 ? phrase("models.searched", { place: folder, folders }) : folder,
    link,
    size ? megabytes(size) : packed || phrase("models.unknown"),
    expected ? translated(expected.licence, "licence") : phrase("models.see_source"),
    make("span", "rp-hash", { "data-name": name }, expected?.sha256 ? `${expected.sha256.slice(0, 12)}…` : phrase("models.no_hash")),
  ]
  return make("tr", "", {}, ...cells.map((cell) => make("td", "", {}, cell)))
}

/** @param {string} url */
function hostOf(url) {
  return new URL(url).host
}

/**
 * Let the server read the files, and say in the list which are what is expected.
 *
 * @param {{ files: string[], guides: string[], checkers: string[] }} named
 * @param {Needed[]} rows
 * @param {HTMLElement} list
 * @returns {Promise<string>} what came of it, in words
 */
async function compareHashes(named, rows, list) {
  const query = new URLSearchParams([
    ...named.files.map((name) => ["file", name]),
    ...named.guides.map((name) => ["guide", name]),
    ...named.checkers.map((name) => ["checker", name]),
  ])
  const { files, guides, checkers } = await asked(`/reverse_personalization/readiness?${query}`)
  /** @type {Record<string, string>} */
  const found = {}
  for (const { name, sha256 } of files) found[name.split("/").slice(1).join("/")] = sha256
  for (const { name, recogniser } of [...guides, ...checkers]) if (recogniser) found[name] = recogniser.sha256
  const hashOf = (/** @type {string} */ name) => found[name] ?? found[/** @type {string} */ (name.split("/").at(-1))]
  let [compared, wrong] = [0, 0]
  for (const { name, expected } of rows) {
    const sha256 = hashOf(name)
    const cell = /** @type {HTMLElement} */ (
      [...list.querySelectorAll(".rp-hash")].find((one) => one instanceof HTMLElement && one.dataset.name === name)
    )
    if (!sha256) continue
    const same = expected?.sha256 === sha256
    if (expected?.sha256) compared += 1
    if (expected?.sha256 && !same) wrong += 1
    cell.textContent = `${sha256.slice(0, 12)}… ${expected?.sha256 ? phrase(same ? "models.same" : "models.different") : ""}`
    cell.title = sha256
  }
  return phrase("models.compared", { compared, wrong })
}
