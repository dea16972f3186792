// What the file holds: blocks of numbers, opened when they are first looked at. tlab_dash/snapshot/packing.py writes them.

const index = JSON.parse(document.getElementById("index").textContent)
const blocks = new Map()

// What stands before this script is there; the rest is still being read while the first pictures are drawn.
const early = new Set([...document.querySelectorAll('script[type="text/plain"]')].map(({id}) => id))
const parsed = new Promise((done) => { addEventListener("DOMContentLoaded", done, {once: true}) })

function block(name) {
  if (!blocks.has(name)) { blocks.set(name, unpacked(name)) }
  return blocks.get(name)
}

async function unpacked(name) {
  if (!early.has(name)) { await parsed }
  const text = document.getElementById(name).textContent
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0))
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
  const buffer = await new Response(stream).arrayBuffer()
  const length = new DataView(buffer).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)))
  let place = 4 + length
  const numbers = header.numbers.map((count) => {
    const column = new Float32Array(buffer, place, count)
    place += 4 * count
    return column
  })
  return {...header, numbers, weights: new Uint8Array(buffer, place)}
}

// What one run shows at one of the slider's stops.
async function frameAt(run, stop) {
  const [common, own] = await Promise.all([block(`run-${run}`), block(`run-${run}-step-${index.runs[run].steps[stop]}`)])
  const {layers, heads, positions} = index.runs[run]
  const pairs = positions * (positions + 1) / 2
  const column = (place) => {
    const [kind, at] = place < 0 ? ["texts", -1 - place] : ["numbers", place]
    return at < common[kind].length ? common[kind][at] : own[kind][at - common[kind].length]
  }
  const code = (layer, head, query, key) => own.weights[(layer * heads + head) * pairs + query * (query + 1) / 2 + key]
  return {
    step: own.step,
    paint: own.paint,
    layers, heads, positions,
    // Ink is √weight, 0 to 1. A later key can't be read, and nothing is drawn where a broken run has no number.
    ink: (layer, head, query, key) => {
      const byte = key > query ? 255 : code(layer, head, query, key)
      return byte === 255 ? 0 : byte / 254
    },
    weight: (layer, head, query, key) => {
      const byte = key > query ? 255 : code(layer, head, query, key)
      return byte === 255 ? NaN : (byte / 254) ** 2
    },
    // A picture's limits, note and columns for a layer and a head; null where the run has no such layer or head.
    picture: (view, layer, head) => {
      const varies = index.views[view].varies
      const found = own.tables[view][varies.map((name) => ({layer, head})[name]).join(",")]
      if (!found) { return null }
      const parts = {}
      for (const [part, table] of Object.entries(found.parts)) {
        parts[part] = Object.fromEntries(Object.entries(table).map(([name, place]) => [name, column(place)]))
      }
      return {limits: found.limits, note: found.note, parts}
    },
  }
}
