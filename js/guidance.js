// @ts-check
/** cfg: what it trades off with the model in use, and a warning if it would not anonymise. */

import { api } from "../../scripts/api.js"
import { app } from "../../scripts/app.js"

import { checkpointOf } from "./checkpoint.js"
import { onMeasured, recall, remember } from "./measured.js"
import { onOutput } from "./outputs.js"
import { addPanel, chain, isLinked, make, onValues, widgetOf } from "./panel.js"
import { phrase } from "./phrases.js"

const HEIGHT = 168

/** The samplers without a choice take the paper's steps. */
const QUALITIES = ["exact", "fast"]

/**
 * @typedef {object} Miniature what its measurement found: see docs/miniature.md
 * @property {number} people
 * @property {{ cfg: number, recognised: number, expression_kept: number }[]} points shares from 0 to 1, cfg from 0 down
 */

/**
 * @typedef {object} Line
 * @property {string} className
 * @property {string} name
 * @property {[number, number | null][]} points scale from 0 down, and a value from 0 to 1; null is not drawn
 */

/**
 * @typedef {object} Chart
 * @property {number[]} scales from 0 down
 * @property {[string, string]} ends what 1 and 0 are called
 * @property {Line[]} lines
 * @property {string[]} spoken what is known of each scale
 * @property {string} advice
 */

/** @type {Promise<Miniature>} */
const miniature = fetch(new URL("./guidance_curve.json", import.meta.url)).then((answer) => answer.json())

/** @param {any} node */
export function addGuidance(node) {
  const panel = addPanel(node, "guidance", HEIGHT)
  const legend = make("div", "rp-legend")
  const plot = make("div", "rp-plot")
  const advice = make("div", "rp-advice", { role: "status" })
  panel.element.append(legend, plot, advice)

  async function draw() {
    const ofMiniature = await miniature
    // Meanwhile the node may have been removed, or is not in a graph yet.
    if (!node.graph) return
    const quality = widgetOf(node, "quality")?.value
    const measured = recall(checkpointOf(node), quality ? [quality] : QUALITIES)
    const chart = measured ? chartOfModel(measured) : chartOfMiniature(ofMiniature)
    const widget = widgetOf(node, "cfg")
    const cfg = !widget || isLinked(node, "cfg") ? null : Number(widget.value)
    const warning = cfg === null ? "" : warningOf(cfg)
    legend.replaceChildren(...chart.lines.map(({ className, name }) => make("span", `rp-key ${className}`, {}, name)))
    plot.replaceChildren(...drawn(chart, cfg))
    panel.element.classList.toggle("rp-wrong", warning !== "")
    advice.textContent = warning || chart.advice
  }

  onValues(node, ["cfg", "quality"], panel.signal, draw)
  chain(node, "onAdded", draw)
  onMeasured(panel.signal, draw)
  // Another checkpoint is chosen in another node; and a node that moves into a subgraph is linked again only there.
  api.addEventListener(/** @type {any} */ ("graphChanged"), draw, { signal: panel.signal })
  app.canvas.canvas.addEventListener("litegraph:set-graph", draw, { signal: panel.signal })
  onOutput(node, (output) => {
    for (const measured of output.guidance_curve ?? []) remember(measured)
  })
}

/**
 * @param {import("./measured.js").Measured} measured
 * @returns {Chart}
 */
function chartOfModel({ checkpoint, quality, checker, date, threshold, points }) {
  const scales = points.map(({ scale }) => scale)
  const worst = points.map(({ similarities }) =>
    similarities.includes(null) ? null : Math.max(.../** @type {number[]} */ (similarities)),
  )
  const enough = scales[worst.findLastIndex((one) => one === null || one >= threshold) + 1]
  const found = enough === undefined ? phrase("guidance.not_enough") : phrase("guidance.enough", { scale: enough })
  const limit = phrase("guidance.threshold", { threshold: threshold.toFixed(2) })
  return {
    scales,
    ends: ["1.00", "0.00"],
    lines: [
      { className: "rp-line-recognised", name: phrase("guidance.similarity"), points: worst.map((one, at) => [scales[at], one]) },
      { className: "rp-line-threshold", name: limit, points: scales.map((scale) => [scale, threshold]) },
    ],
    spoken: worst.map((one, at) => phrase("guidance.point_of_model", { cfg: scales[at], similarity: one?.toFixed(2) ?? "?" })),
    advice: phrase("guidance.of_model", { checkpoint, found, quality, checker, date: date.slice(0, 10) }),
  }
}

/**
 * @param {Miniature} curve
 * @returns {Chart}
 */
function chartOfMiniature({ people, points }) {
  const percent = (/** @type {number} */ share) => Math.round(100 * share)
  return {
    scales: points.map(({ cfg }) => cfg),
    ends: ["100 %", "0 %"],
    lines: [
      { className: "rp-line-recognised", name: phrase("guidance.recognised"), points: points.map(({ cfg, recognised }) => [cfg, recognised]) },
      { className: "rp-line-kept", name: phrase("guidance.kept"), points: points.map(({ cfg, expression_kept }) => [cfg, expression_kept]) },
    ],
    spoken: points.map(({ cfg, recognised, expression_kept }) =>
      phrase("guidance.point", { cfg, recognised: percent(recognised), kept: percent(expression_kept) }),
    ),
    advice: phrase("guidance.of_miniature", { people }),
  }
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
 * @param {Chart} chart
 * @param {number | null} cfg
 * @returns {Node[]}
 */
function drawn({ scales, ends, lines, spoken }, cfg) {
  const last = scales[scales.length - 1]
  const x = (/** @type {number} */ value) => 100 * (value / last)
  const y = (/** @type {number} */ value) => 100 - 100 * Math.min(1, Math.max(0, value))
  const svg = make("div", "rp-curve", { role: "img", "aria-label": spoken.join(phrase("semicolon")) })
  svg.innerHTML = `<svg viewBox="0 0 100 100" preserveAspectRatio="none">${lines.map(polyline).join("")}</svg>`
  // Nothing is known beyond the last scale.
  if (cfg !== null && cfg >= last) {
    const mark = make("span", "rp-mark", { title: `cfg ${cfg}` })
    mark.style.left = `${Math.max(0, x(cfg))}%`
    svg.append(mark)
  }
  const ticks = scales.map((scale) => {
    const tick = make("span", "rp-tick", {}, String(scale))
    tick.style.left = `${x(scale)}%`
    return tick
  })
  return [make("span", "rp-top", {}, ends[0]), make("span", "rp-bottom", {}, ends[1]), svg, make("div", "rp-ticks", {}, ...ticks)]

  /** @param {Line} line */
  function polyline({ className, points }) {
    const known = points.filter(([, value]) => value !== null)
    const places = known.map(([scale, value]) => `${x(scale)},${y(/** @type {number} */ (value))}`)
    return `<polyline class="${className}" points="${places.join(" ")}" />`
  }
}
