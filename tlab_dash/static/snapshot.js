// The page of a snapshot: what is chosen (a step, a layer, a head, a character), and every picture drawn for it.

const chosen = {...index.chosen}
const controls = Object.fromEntries(["stop", "layer", "head", "position"].map((name) => [name, document.getElementById(name)]))
const figures = [...document.querySelectorAll("figure[data-view]")].map((holder) => ({
  holder, view: holder.dataset.view, run: Number(holder.dataset.run), picture: holder.querySelector(".picture"),
}))
const texts = [...document.querySelectorAll(".probe[data-run]")]
const main = document.querySelector("main")
let drawing = 0, drawnWidth = 0

function choose(change) {
  for (const [name, value] of Object.entries(change)) {
    const last = name === "stop" ? index.stops.length - 1 : controls[name].options.length - 1
    chosen[name] = Math.max(0, Math.min(last, value))
    controls[name].value = chosen[name]
  }
  return draw()
}

async function draw() {
  const turn = ++drawing
  drawnWidth = main.clientWidth
  const frames = await Promise.all(index.runs.map((_, run) => frameAt(run, chosen.stop)))
  if (turn !== drawing) { return }  // something else was chosen meanwhile
  tellWhere(frames)
  const drawings = []
  for (const view of Object.keys(index.views)) {
    const shown = figures.filter((figure) => figure.view === view)
    const pictures = shown.map(({run}) => pictureOf(view, run, frames[run]))
    if (index.views[view].together) { share(view, pictures.filter(Boolean)) }
    for (const {limits: [, [bottom, top]], parts} of view === "signal" ? pictures.filter(Boolean) : []) {
      Object.assign(parts.chosen, {bottom: [bottom], top: [top]})  // the chosen layer's band goes from the axis to the top
    }
    shown.forEach((figure, i) => {
      const [picture, frame] = [pictures[i], frames[figure.run]]
      if (tell(figure, picture, frame)) { drawings.push([figure, picture, frame]) }
    })
  }
  // All words first, then all sizes, then all pictures: a size that is read after a change has the whole page laid out anew.
  const sizes = drawings.map(([{picture: place}]) => [place.clientWidth, place.clientHeight])
  for (const [i, [{picture: place, view, run}, picture, frame]] of drawings.entries()) {
    plot(place, sizes[i], index.runs[run].scenes[view], picture, IMAGES[view]?.(frame, run))
  }
  for (const figure of figures.filter(({view}) => view === "map")) { paint(figure.holder, frames[figure.run].paint) }
  for (const text of texts) { shade(text, frames[text.dataset.run]) }
  for (const sample of document.querySelectorAll("[data-step]")) {
    sample.classList.toggle("later", Number(sample.dataset.step) > index.stops[chosen.stop])
  }
}

function tellWhere(frames) {
  const step = index.stops[chosen.stop].toLocaleString("en")
  document.getElementById("step").textContent = `step ${step}`
  controls.stop.setAttribute("aria-valuetext", `step ${step}`)
  controls.stop.style.setProperty("--filled", `${100 * chosen.stop / Math.max(1, index.stops.length - 1)}%`)
  for (const heading of document.querySelectorAll("[data-heading]")) {
    heading.textContent = heading.dataset.heading.replace("{layer}", chosen.layer).replace("{head}", chosen.head)
  }
  for (const note of document.querySelectorAll(".at-step")) {
    const own = frames[note.dataset.run].step
    note.textContent = own === index.stops[chosen.stop] ? "" : `at step ${own.toLocaleString("en")}`
  }
}

// Pictures ------------------------------------------------------------------------------------------------------------

function pictureOf(view, run, frame) {
  const beyond = chosen.layer >= frame.layers && index.views[view].picks === "layer"
  const picture = frame.picture(view, beyond ? frame.layers - 1 : chosen.layer, chosen.head)
  if (picture && beyond) { // it shows all layers, and marks none
    picture.parts.chosen = Object.fromEntries(Object.keys(picture.parts.chosen).map((edge) => [edge, []]))
  }
  if (picture && chosen.head < frame.heads && view === "heads") {
    picture.parts.chosen = Object.fromEntries(
      Object.entries(picture.parts.frames).map(([edge, places]) => [edge, [places[chosen.head]]]))
  }
  if (picture && view === "attention") {
    const position = Math.min(chosen.position, frame.positions - 1)
    picture.parts.row = {left: [-0.5], right: [position + 0.5], bottom: [position - 0.5], top: [position + 0.5]}
  }
  return picture
}

// Gives pictures that stand side by side the same axes, so that they can be compared by eye: the smallest that hold all.
// One that lies far off would flatten the others on them, so it keeps its own and says so.
function share(view, pictures) {
  const together = index.views[view].far ? near(view, pictures) : pictures
  const limits = joined(together.map((picture) => picture.limits))
  for (const picture of pictures) {
    if (together.includes(picture)) {
      picture.limits = limits
    } else {
      picture.note = `Its axes are its own, as its numbers lie far from the other runs'. ${picture.note}`
    }
  }
}

// Those whose joined axis is at most so many times as long as that of the middle one, by the size of their numbers.
function near(view, pictures) {
  const [axis, times] = index.views[view].far
  const along = index.runs[0].scenes[view]["xy"[axis]].log ? Math.log10 : (value) => value
  const ends = (picture) => picture.limits[axis].map(along)
  const sorted = [...pictures].sort((one, other) => Math.max(...ends(one)) - Math.max(...ends(other)))
  const middle = sorted[(sorted.length - 1) >> 1]
  const length = (values) => Math.max(...values) - Math.min(...values)
  return sorted.filter((picture) => length([...ends(picture), ...ends(middle)]) <= times * length(ends(middle)))
}

function joined(all) {
  return all.length ? [0, 1].map((axis) => {
    const ends = all.map((limits) => limits[axis])
    const [low, high] = [Math.min(...ends.flat()), Math.max(...ends.flat())]
    return ends[0][0] <= ends[0][1] ? [low, high] : [high, low]
  }) : null
}

// The words of a picture; returns whether there is one to draw.
function tell({holder, view, run, picture: place}, picture, frame) {
  const there = index.views[view].needs.every((need) => chosen[need] < frame[`${need}s`])
  place.hidden = !there
  holder.querySelector(".absent").textContent = there ? "" : lacking(frame)
  holder.querySelector(".note").textContent = !there ? ""
    : view === "attention" ? reading(frame, run, chosen.position) : picture.note
  return there
}

// Which of the chosen layer and head the run hasn't; nothing where it has both.
function lacking({layers, heads}) {
  return chosen.layer >= layers ? `This run's layers are 0 to ${layers - 1}.`
    : chosen.head >= heads ? `This run's heads are 0 to ${heads - 1}.` : ""
}

function mosaic(run) {
  return index.runs[run].scenes.heads.marks.find(({glyph}) => glyph === "Image")
}

const IMAGES = {
  attention: (frame) => (key, query) => frame.ink(chosen.layer, chosen.head, query, key),

  // All heads of the layer as tiles with gaps; where a pixel stands for several pairs, the largest weight is shown.
  heads: (frame, run) => {
    const {pitch, side, across} = mosaic(run)
    const pool = Math.ceil(frame.positions / side)
    return (x, y) => {
      const [head, i, j] = [Math.floor(y / pitch) * across + Math.floor(x / pitch), x % pitch, y % pitch]
      let most = 0
      if (head < frame.heads && i < side && j < side) {
        for (let query = j * pool; query < Math.min(frame.positions, (j + 1) * pool); query++) {
          for (let key = i * pool; key < Math.min(frame.positions, (i + 1) * pool); key++) {
            most = Math.max(most, frame.ink(chosen.layer, head, query, key))
          }
        }
      }
      return most
    }
  },
}

function paint(holder, {parts, labels, legend, note}) {
  holder.querySelector("p.note").textContent = note
  for (const part of holder.querySelectorAll("[data-key]")) {
    if (!(part.dataset.key in parts)) { continue }
    const [fill, ink, number] = parts[part.dataset.key]
    part.style.color = ink
    for (const filled of part.querySelectorAll(".fill")) { filled.style.fill = fill }
    for (const written of part.querySelectorAll(".number")) { written.textContent = number }
  }
  for (const layer of holder.querySelectorAll("[data-layer]")) {
    const pressed = Number(layer.dataset.layer) === chosen.layer
    layer.setAttribute("aria-label", labels[layer.dataset.layer])
    layer.setAttribute("aria-pressed", pressed)
    layer.classList.toggle("selected", pressed)
  }
  for (const end of holder.querySelectorAll("[data-end]")) { end.textContent = legend[end.dataset.end] }
}

// The text that is read ---------------------------------------------------------------------------------------------

function name(run, position) {
  return `“${index.runs[run].tokens[position]}”`
}

// "“e” (7) reads “h” 0.61, “t” 0.22, “ ” 0.09."
function reading(frame, run, position, key = null) {
  const last = frame.positions - 1, beyond = position > last ? `This run's characters are 0 to ${last}. ` : ""
  position = Math.min(position, last)
  const weight = (other) => frame.weight(chosen.layer, chosen.head, position, other)
  if (key !== null) {
    return key > position ? `${name(run, position)} (${position}) can't read ${name(run, key)} (${key}): it comes later.`
      : `${name(run, position)} (${position}) reads ${name(run, key)} (${key}): ${weight(key).toPrecision(2)}.`
  }
  const read = Array.from({length: position + 1}, (_, other) => other).filter((other) => weight(other) > 0)
  const most = read.sort((one, other) => weight(other) - weight(one)).slice(0, 3)
  const said = most.map((other) => `${name(run, other)} (${other}) ${weight(other).toPrecision(2)}`)
  return said.length ? `${beyond}${name(run, position)} (${position}) reads most: ${said.join(", ")}.`
    : "No numbers: the run broke."
}

// Under the map of every run that has such a character, to be compared.
async function sayWeights(query, key = null) {
  for (const {holder, run} of figures.filter(({view, picture}) => view === "attention" && !picture.hidden)) {
    const frame = await frameAt(run, chosen.stop)
    if (key === null || Math.max(query, key) < frame.positions) {
      holder.querySelector(".note").textContent = reading(frame, run, query, key)
    }
  }
}

function shade(holder, frame) {
  const position = Math.min(chosen.position, frame.positions - 1)
  const there = !lacking(frame)
  holder.previousElementSibling.textContent = lacking(frame)
  for (const [i, span] of [...holder.children].entries()) {
    const ink = there ? frame.ink(chosen.layer, chosen.head, position, i) : 0
    span.style.setProperty("--ink", `${Math.round(100 * ink)}%`)
    span.className = [i === position && "reader", i > position && "later", ink > 0.5 && "strong"].filter(Boolean).join(" ")
  }
}

// Choosing ------------------------------------------------------------------------------------------------------------

const PICKS = {
  layer: ([x]) => ({layer: Math.floor((x - 0.5) / 2)}),
  head: ([x, y], run) => ({head: Math.floor(y) * mosaic(run).across + Math.floor(x)}),
  position: ([, y]) => ({position: Math.floor(y + 0.5)}),
}
const ARROWS = {
  layer: () => ({ArrowLeft: -1, ArrowRight: 1}),
  head: (run) => ({ArrowLeft: -1, ArrowRight: 1, ArrowUp: -mosaic(run).across, ArrowDown: mosaic(run).across}),
  position: () => ({ArrowUp: -1, ArrowDown: 1}),
}

for (const {view, run, picture: place, holder} of figures) {
  if (view === "map") {
    const press = (event) => {
      const layer = event.target.closest("[data-layer]")
      if (layer) {
        event.preventDefault()
        choose({layer: Number(layer.dataset.layer)})
      }
    }
    holder.addEventListener("click", press)
    holder.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { press(event) } })
    continue
  }
  const spot = (event) => {
    const box = place.getBoundingClientRect()
    return place.at?.((event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height)
  }
  const picks = index.views[view].picks
  if (picks) {
    place.addEventListener("click", (event) => {
      const at = spot(event)
      const picked = at && PICKS[picks](at, run)
      if (picked && picked[picks] >= 0 && picked[picks] < index.runs[run][`${picks}s`]) { choose(picked) }
    })
    place.addEventListener("keydown", (event) => {
      const by = ARROWS[picks](run)[event.key]
      if (by && !event.altKey && !event.ctrlKey && !event.metaKey) {
        event.preventDefault()
        choose({[picks]: chosen[picks] + by})
      }
    })
  }
  if (view === "attention") {
    place.addEventListener("pointermove", (event) => {
      const at = spot(event)
      if (at) { sayWeights(Math.floor(at[1] + 0.5), Math.floor(at[0] + 0.5)) }
    })
    place.addEventListener("pointerleave", () => sayWeights(chosen.position))
  }
}
for (const text of texts) {
  text.addEventListener("click", (event) => {
    const position = [...text.children].indexOf(event.target)
    if (position >= 0) { choose({position}) }
  })
}
for (const [name, control] of Object.entries(controls)) {
  control.addEventListener("input", () => choose({[name]: Number(control.value)}))
}
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details.print")) { folded.open = true }
})

let resized = 0
new ResizeObserver(() => {
  cancelAnimationFrame(resized)
  if (main.clientWidth !== drawnWidth) { resized = requestAnimationFrame(draw) }
}).observe(main)

choose(chosen).then(() => { document.documentElement.dataset.drawn = "true" })
  .catch((error) => { document.getElementById("trouble").textContent = `This browser can't open the file's numbers: ${error.message}` })
