// Shows the drawing that Python made, reports presses on its layers, and lets parts slide when the wiring changes.
// `svg` is a whole new drawing; `paint` recolours the one that is there, so that numbers arriving five times a second
// neither restart an animation nor take the focus.

const OUTLINED = 2000  // milliseconds that a changed part stays outlined; the style sheet's animation is as long
const SWEEP = 600  // milliseconds that a step's signal takes down the drawing, and its gradient up again
const SLIDE = {duration: 300, easing: "cubic-bezier(.3, 0, .1, 1)"}

export function render({model}) {
  const holder = document.createElement("div")
  holder.className = "tlab-map-holder"

  let sweeping = []  // timers of the sweep that is on
  const changed = new Map()  // since when each part has been outlined
  const parts = () => new Map([...holder.querySelectorAll("[data-key]")].map((part) => [part.dataset.key, part]))
  const boxes = () => new Map([...parts()].map(([key, part]) => [key, part.getBoundingClientRect()]))

  function paint() {
    if (sweeping.length) { return }  // at its end it paints
    const {parts: painted = {}, labels = {}, legend = {}} = model.paint ?? {}
    for (const [key, part] of parts()) {
      if (key in painted) { put(part, painted[key]) }
    }
    for (const layer of holder.querySelectorAll("[data-layer]")) {
      const label = labels[layer.dataset.layer]
      if (label) { layer.setAttribute("aria-label", label) }
    }
    for (const end of holder.querySelectorAll("[data-end]")) { write(end, legend[end.dataset.end]) }
  }

  function put(part, [fill, ink, number]) {
    part.style.color = ink
    const filled = part.querySelector(".fill")
    if (filled) { filled.style.fill = fill }
    write(part.querySelector(".number"), number)
  }

  function write(element, text) {
    if (element && text !== undefined && element.textContent !== text) { element.textContent = text }
  }

  // A step's signal on its way down, then its gradient on its way up: each part shows its values as its turn comes.
  function sweep() {
    const {down = {}, up = {}} = model.swept ?? {}
    const drawing = holder.querySelector("svg")
    if (!drawing || matchMedia("(prefers-reduced-motion: reduce)").matches) { return }
    stop()
    const places = boxes()
    const tops = [...places.values()].map((box) => box.top)
    const [first, last] = [Math.min(...tops), Math.max(...tops)]
    for (const [key, part] of parts()) {
      const filled = part.querySelector(".fill")
      if (!filled || !(key in down)) { continue }
      const depth = (places.get(key).top - first) / (last - first || 1)
      const turn = depth * (SWEEP - 150)
      for (const [way, values, delay] of [["down", down[key], turn], ["up", up[key], 2 * SWEEP - 150 - turn]]) {
        filled.style.setProperty(`--tlab-${way}`, `${delay}ms`)
        sweeping.push(setTimeout(() => put(part, values), delay))
      }
    }
    drawing.getBoundingClientRect()  // so that a class that was just taken away counts as gone
    drawing.classList.add("sweep")
    sweeping.push(setTimeout(() => { stop(); paint() }, 2 * SWEEP + 300))
  }

  function stop() {
    sweeping.forEach(clearTimeout)
    sweeping = []
    holder.querySelector("svg")?.classList.remove("sweep")
  }

  function draw() {
    stop()
    const before = boxes()
    const focused = holder.getRootNode().activeElement?.closest?.("[data-layer]")?.dataset.layer
    holder.innerHTML = model.svg
    holder.classList.toggle("natural", model.compact)
    paint()
    outline()
    if (focused !== undefined) { holder.querySelector(`[data-layer="${focused}"]`)?.focus({preventScroll: true}) }
    if (before.size && !matchMedia("(prefers-reduced-motion: reduce)").matches) { slide(before) }
  }

  // Choosing another layer draws anew: what was outlined a moment ago goes on from where it was.
  function outline() {
    const now = performance.now()
    for (const [key, part] of parts()) {
      if (part.classList.contains("changed")) {
        changed.set(key, now)
      } else if (now - (changed.get(key) ?? -Infinity) < OUTLINED) {
        part.style.setProperty("--tlab-outlined", `${changed.get(key) - now}ms`)
        part.classList.add("changed")
      }
    }
  }

  function slide(before) {
    const zoom = holder.querySelector("svg")?.getScreenCTM()?.a || 1  // screen pixels to one of the drawing's
    for (const [key, part] of parts()) {
      const [from, to] = [before.get(key), part.getBoundingClientRect()]
      if (!from) {
        part.animate({opacity: [0, 1]}, SLIDE)
        continue
      }
      const [dx, dy] = [(from.left - to.left) / zoom, (from.top - to.top) / zoom]
      const [sx, sy] = [ratio(from.width, to.width), ratio(from.height, to.height)]
      if (Math.abs(dx) + Math.abs(dy) < 0.5 && Math.abs(sx - 1) + Math.abs(sy - 1) < 0.02) { continue }
      part.style.transformBox = "fill-box"
      part.style.transformOrigin = "0 0"
      part.animate({transform: [`translate(${dx}px, ${dy}px) scale(${sx}, ${sy})`, "none"]}, SLIDE)
    }
  }

  function press(event) {
    const layer = event.target.closest?.("[data-layer]")
    if (!layer) { return }
    event.preventDefault()
    model.send_msg({press: Number(layer.dataset.layer)})
  }

  holder.addEventListener("click", press)
  holder.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") { press(event) }
  })
  model.on("svg", draw)
  model.on("paint", paint)
  model.on("swept", sweep)
  draw()
  return holder
}

function ratio(from, to) {
  return from > 3 && to > 3 ? from / to : 1  // a line has no thickness to stretch
}
