// @ts-check
/** The samplers' cfg: what it trades off, and a warning if it would not anonymise. */

import { addPanel, isLinked, make, onValues, widgetOf } from "./panel.js"
import { phrase } from "./phrases.js"

const HEIGHT = 168

/**
 * @typedef {object} Curve what the miniature's measurement found: see docs/miniature.md
 * @property {number} people
 * @property {{ cfg: number, recognised: number, expression_kept: number }[]} points shares from 0 to 1, cfg from 0 down
 */

/** @type {Promise<Curve>} */
const measured = fetch(new URL("./guidance_curve.json", import.meta.url)).then((answer) => answer.json())

/** The lines of the curve: key of a point, class and key of the name. */
const LINES = /** @type {const} */ ([
  ["recognised", "rp-line-recognised", "guidance.recognised"],
  ["expression_kept", "rp-line-kept", "guidance.kept"],
])

/** @param {any} node */
export function addGuidance(node) {
  const panel = addPanel(node, "guidance", HEIGHT)
  const plot = make("div", "rp-plot")
  const advice = make("div", "rp-advice", { role: "status" })
  const legend = LINES.map(([, className, name]) => make("span", `rp-key ${className}`, {}, phrase(name)))
  panel.element.append(make("div", "rp-legend", {}, ...legend), plot, advice)

  onValues(node, ["cfg"], panel.signal, async () => {
    const curve = await measured
    const cfg = isLinked(node, "cfg") ? null : Number(widgetOf(node, "cfg").value)
    const warning = cfg === null ? "" : warningOf(cfg)
    plot.replaceChildren(...drawn(curve, cfg))
    panel.element.classList.toggle("rp-wrong", warning !== "")
    advice.textContent = warning || phrase("guidance.measured", { people: curve.people })
  })
}

/**
 * @param {number} cfg
 * @returns {string} what is wrong with it, or ""
 */
function warningOf(cfg) {
  if (cfg < 0) return ""
  return `\u26a0 ${phrase(cfg === 0 ? "guidance.zero" : "guidance.positive")}`
}

/**
 * @param {Curve} curve
 * @param {number | null} cfg
 * @returns {Node[]}
 */
function drawn(curve, cfg) {
  const last = curve.points[curve.points.length - 1].cfg
  const x = (/** @type {number} */ value) => 100 * (value / last)
  const lines = LINES.map(([key, className]) => {
    const points = curve.points.map((point) => `${x(point.cfg)},${100 - 100 * point[key]}`)
    return `<polyline class="${className}" points="${points.join(" ")}" />`
  })
  const svg = make("div", "rp-curve", { role: "img", "aria-label": spoken(curve) })
  svg.innerHTML = `<svg viewBox="0 0 100 100" preserveAspectRatio="none">${lines.join("")}</svg>`
  if (cfg !== null) {
    const mark = make("span", "rp-mark", { title: `cfg ${cfg}` })
    mark.style.left = `${Math.min(100, Math.max(0, x(cfg)))}%`
    svg.append(mark)
  }
  const ticks = curve.points.map((point) => {
    const tick = make("span", "rp-tick", {}, String(point.cfg))
    tick.style.left = `${x(point.cfg)}%`
    return tick
  })
  return [make("span", "rp-top", {}, "100 %"), make("span", "rp-bottom", {}, "0 %"), svg, make("div", "rp-ticks", {}, ...ticks)]
}

/** @param {Curve} curve */
function spoken(curve) {
  const percent = (/** @type {number} */ share) => Math.round(100 * share)
  const points = curve.points.map(({ cfg, recognised, expression_kept }) =>
    phrase("guidance.point", { cfg, recognised: percent(recognised), kept: percent(expression_kept) }),
  )
  return points.join(phrase("semicolon"))
}
