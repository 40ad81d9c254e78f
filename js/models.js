// @ts-check
/** A list of every model file that the graph needs: there or not, where it belongs, and whether it is what is expected. */

import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

import { make } from "./panel.js"

export const MODELS = "model files"
export const MODELS_TITLE = "Which model files this graph needs, which are there, and where to get the others"

const MODEL_FILE = /\.(safetensors|ckpt|pt|pt2|pth|bin|gguf|sft|onnx)$/i

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
  const button = node.addWidget("button", MODELS, null, () => showModels(), { serialize: false })
  button.serialize = false
  button.tooltip = MODELS_TITLE
}

/** Open the list. */
export async function showModels() {
  const list = make("div", "rp-model-list", {}, "looking for the files")
  const hashes = make("button", "", { type: "button" }, "compare hashes")
  const close = make("button", "", { type: "button" }, "close")
  const note = make("span", "rp-note", { role: "status" })
  const style = make("link", "", { rel: "stylesheet", href: new URL("./models.css", import.meta.url).href })
  const bar = make("div", "rp-bar", {}, hashes, close, note)
  const dialog = make("dialog", "rp-models", { "aria-label": "Model files" }, style, make("h2", "", {}, "Model files"), list, bar)
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
      note.textContent = "reading the files; large ones take minutes the first time"
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
  const heads = ["file", "state", "belongs in", "download", "size", "licence", "SHA-256"].map((text) => make("th", "", {}, text))
  return make("table", "", {}, make("tr", "", {}, ...heads), ...rows.map(row))
}

/** @param {Needed} needed */
function row(needed) {
  const { name, place, folders, there, bytes, expected, other } = needed
  const state = !there ? "missing" : other ? "another file: its size differs" : "there"
  const searched = folders > 1 ? ` (${folders} folders searched)` : ""
  const inside = place === "insightface/models" && !MODEL_FILE.test(name) ? `/${name}` : ""
  const link = expected ? make("a", "", { href: expected.url, target: "_blank", rel: "noreferrer" }, hostOf(expected.url)) : "unknown"
  const size = bytes ?? expected?.bytes
  const packed = expected?.download ? `${megabytes(expected.download)} packed` : ""
  const cells = [
    name,
    make("b", `rp-state-${there && !other ? "there" : "missing"}`, {}, state),
    place ? `models/${place}${inside}${searched}` : "a folder of ComfyUI's models",
    link,
    size ? megabytes(size) : packed || "unknown",
    expected?.licence ?? "see where it comes from",
    make("span", "rp-hash", { "data-name": name }, expected?.sha256 ? `${expected.sha256.slice(0, 12)}…` : "none published that we know"),
  ]
  return make("tr", "", {}, ...cells.map((cell) => make("td", "", {}, cell)))
}

/** @param {string} url */
function hostOf(url) {
  return new URL(url).host
}

/** @param {number} bytes */
function megabytes(bytes) {
  return `${(bytes / 1e6).toLocaleString(undefined, { maximumFractionDigits: 1 })} MB`
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
    cell.textContent = `${sha256.slice(0, 12)}… ${expected?.sha256 ? (same ? "as expected" : "NOT what is expected") : ""}`
    cell.title = sha256
  }
  return `${compared} compared with a published hash, ${wrong} of them another file`
}
