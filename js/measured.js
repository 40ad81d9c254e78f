// @ts-check
/**
 * What Identity Scale Sweep measured, by the file names of checkpoints: kept in this browser, so that cfg is chosen by
 * one's own model. Scales, similarities, threshold and date; nothing of a photograph.
 */

/**
 * @typedef {object} Measured
 * @property {string} checkpoint file name, as the loader has it
 * @property {string} quality
 * @property {string} checker
 * @property {string} date of the measurement, in UTC: YYYY-MM-DDThh:mm:ss
 * @property {number} threshold similarity at or above which a face is recognisable
 * @property {{ scale: number, similarities: (number | null)[] }[]} points from scale 0 down; one similarity for each face
 */

const KEY = "reverse_personalization.measured"

/** Checkpoints that are remembered; of more, those that were measured longest ago are forgotten. */
const MOST = 50

const changes = new EventTarget()

/**
 * Call `changed` whenever something else is remembered, in this tab of the browser or in another.
 *
 * @param {AbortSignal} signal
 * @param {() => void} changed
 */
export function onMeasured(signal, changed) {
  changes.addEventListener("changed", changed, { signal })
  addEventListener("storage", ({ key }) => key === KEY && changed(), { signal })
}

/**
 * Take a measurement into the memory, unless a later one is there: the editor shows old runs again.
 *
 * @param {Measured & { checkpoint: string | null }} measured
 */
export function remember(measured) {
  const { checkpoint, quality, date } = measured
  if (!checkpoint) return
  const { [checkpoint]: earlier, ...others } = all()
  if (earlier?.[quality]?.date > date) return
  const kept = Object.entries(others).slice(1 - MOST)
  const next = JSON.stringify(Object.fromEntries([...kept, [checkpoint, { ...earlier, [quality]: measured }]]))
  try {
    if (localStorage.getItem(KEY) === next) return
    localStorage.setItem(KEY, next)
  } catch {
    // Without a storage the curve stays the miniature's, and says so.
    return
  }
  changes.dispatchEvent(new Event("changed"))
}

/**
 * @param {string | null} checkpoint
 * @param {string[]} qualities which are wanted, the best first
 * @returns {Measured | null}
 */
export function recall(checkpoint, qualities) {
  const known = checkpoint === null ? undefined : all()[checkpoint]
  const quality = qualities.find((one) => known?.[one]?.points?.length)
  return quality === undefined ? null : known[quality]
}

/** @returns {Record<string, any>} by checkpoint and quality */
function all() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {}
  } catch {
    return {}
  }
}
