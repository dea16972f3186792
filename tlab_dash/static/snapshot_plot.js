// Draws one picture as SVG: marks, axes and legend as the lab's own figure has them (tlab_dash/snapshot/scene.py), with the
// columns of one moment. Attention, the only kind of bitmap, is a canvas behind the SVG.

const SVG = "http://www.w3.org/2000/svg"
const LETTER = 6.1  // pixels that a letter of 11 px is wide, about
const ROOM = 8
const pen = document.createElement("canvas").getContext("2d")  // which knows how wide a text is before it is drawn
let clips = 0

function element(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name)
  for (const [key, value] of Object.entries(attributes)) { made.setAttribute(key, value) }
  made.append(...children)
  return made
}

// The holder's width and height in pixels; picture: limits and parts; image(x, y): ink of a bitmap's pixel, for scenes that
// have one.
function plot(holder, [width, height], scene, picture, image) {
  if (width < 60 || height < 60) { return }
  const [horizontal, vertical] = picture.limits
  const ticks = {x: ticksOf(scene.x, horizontal, width), y: ticksOf(scene.y, vertical, height)}
  const legend = scene.legend.filter(([part]) => rowsOf(picture.parts[part]))
  const box = frameOf(scene, ticks, legend, width, height)
  const x = scaleOf(horizontal, scene.x.log, box.left, box.right)
  const y = scaleOf(vertical, scene.y.log, box.bottom, box.top)
  const svg = element("svg", {viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true"})
  const clip = `clip-${clips++}`
  svg.append(element("clipPath", {id: clip}, element("rect", {
    x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top})))
  svg.append(...axisLines(scene, ticks, box, x, y))
  const marks = element("g", {"clip-path": `url(#${clip})`})
  const bitmaps = []
  for (const mark of scene.marks) {
    if (mark.glyph === "Image") {
      bitmaps.push(...bitmap(mark, image, x, y, width, height))
    } else if (picture.parts[mark.part]) {
      marks.append(...GLYPHS[mark.glyph](mark, picture.parts[mark.part], x, y))
    }
  }
  svg.append(marks, ...legendOf(scene, legend, box))
  holder.replaceChildren(...bitmaps, svg)
  holder.at = (left, top) => {  // from a place within the holder, 0 to 1, to the picture's own coordinates
    const [px, py] = [left * width, top * height]
    return px < box.left || px > box.right || py < box.top || py > box.bottom ? null : [x.back(px), y.back(py)]
  }
}

function rowsOf(table) {
  return table ? Object.values(table)[0].length : 0
}

// Scales and ticks ----------------------------------------------------------------------------------------------------

function scaleOf([low, high], log, start, end) {
  const along = log ? Math.log10 : (value) => value
  const scale = (value) => {
    const place = (along(value) - along(low)) / (along(high) - along(low))
    // Far outside is as good as just outside, and fits the numbers that SVG can hold.
    return Number.isNaN(place) ? NaN : start + Math.max(-10, Math.min(10, place)) * (end - start)
  }
  scale.ends = [Math.min(start, end), Math.max(start, end)]
  scale.back = (pixel) => {
    const place = (pixel - start) / (end - start)
    return log ? low * (high / low) ** place : low + place * (high - low)
  }
  return scale
}

function ticksOf(axis, limits, room) {
  const [low, high] = [Math.min(...limits), Math.max(...limits)]
  if (!axis.visible) { return [] }
  const found = axis.ticks ?? (axis.log ? logTicks(low, high) : roundTicks(low, high, Math.max(2, Math.floor(room / 80))))
  return found.filter(([place]) => place >= low && place <= high)
}

function roundTicks(low, high, count) {
  const rough = (high - low) / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = power * ([1, 2, 5].find((round) => rough <= round * power) ?? 10)
  const found = []
  for (let i = Math.ceil(low / step); i * step <= high + step / 1e6; i++) {
    found.push([i * step, String(Number((i * step).toPrecision(6)))])
  }
  return found
}

// 1, 2, 5, 10 ... while that leaves room between names, then powers of ten, then every so-manyth power, as on the lab's axes.
function logTicks(low, high) {
  const [first, last] = [Math.log10(low), Math.log10(high)]
  const every = Math.max(1, Math.ceil((last - first) / 6))
  const found = []
  for (let power = Math.floor(first); power <= Math.ceil(last); power++) {
    if (power % every) { continue }
    for (const round of last - first < 2.5 ? [1, 2, 5] : [1]) {
      const place = round * 10 ** power
      found.push([place, place >= 1e5 || place < 1e-4 ? `${round}e${power}` : String(Number(place.toPrecision(3)))])
    }
  }
  return found
}

// Frame ---------------------------------------------------------------------------------------------------------------

function frameOf(scene, ticks, legend, width, height) {
  const longest = (names) => LETTER * Math.max(0, ...names.map(([, name]) => name.length))
  const left = ROOM + (scene.y.visible ? longest(ticks.y) + 6 + (scene.y.label ? 18 : 0) : 0)
  const under = scene.x.visible ? (scene.x.upright ? longest(ticks.x) : 12) + 8 + (scene.x.label ? 18 : 0) : 0
  const top = legend.length ? 24 : ROOM
  return {left, right: width - 12, top, bottom: height - under - (scene.x.visible ? 2 : ROOM), end: height}
}

function axisLines(scene, ticks, box, x, y) {
  const drawn = []
  const rule = (color, x1, y1, x2, y2) => {
    const line = element("line", {x1, y1, x2, y2})
    line.style.stroke = color
    drawn.push(line)
  }
  const write = (text, className, attributes) => drawn.push(element("text", {class: className, ...attributes}, text))
  for (const [place] of ticks.x) {
    if (scene.grid.x) { rule(`var(${scene.grid.x})`, x(place), box.top, x(place), box.bottom) }
  }
  for (const [place] of ticks.y) {
    if (scene.grid.y) { rule(`var(${scene.grid.y})`, box.left, y(place), box.right, y(place)) }
  }
  if (scene.x.visible) {
    rule("var(--tlab-line)", box.left, box.bottom, box.right, box.bottom)
    let end = -Infinity
    for (const [place, name] of ticks.x) {
      const at = x(place)
      rule("var(--tlab-line)", at, box.bottom, at, box.bottom + 4)
      if (scene.x.upright) {
        write(name, "tick end", {transform: `translate(${at + 4} ${box.bottom + 7}) rotate(-90)`})
      } else if (at - name.length * LETTER / 2 > end) {
        write(name, "tick middle", {x: at, y: box.bottom + 15})
        end = at + name.length * LETTER / 2 + 2
      }
    }
    if (scene.x.label) { write(scene.x.label, "label middle", {x: (box.left + box.right) / 2, y: box.end - 6}) }
  }
  if (scene.y.visible) {
    rule("var(--tlab-line)", box.left, box.top, box.left, box.bottom)
    for (const [place, name] of ticks.y) {
      rule("var(--tlab-line)", box.left - 4, y(place), box.left, y(place))
      write(name, "tick end", {x: box.left - 6, y: y(place) + 4})
    }
    if (scene.y.label) {
      write(scene.y.label, "label middle", {transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`})
    }
  }
  return drawn
}

function legendOf(scene, legend, box) {
  const widths = legend.map(([, label]) => 28 + label.length * LETTER + 12)
  let left = Math.max(box.left, (box.left + box.right - widths.reduce((sum, width) => sum + width, 0)) / 2)
  return legend.map(([part, label], i) => {
    const mark = scene.marks.find((one) => one.part === part)
    const sample = mark.glyph === "Line" ? {x: [0, 22], y: [0, 0]} : {x: [11], y: [0]}
    const table = Object.fromEntries(Object.entries(mark.places).map(([axis, column]) => [column, sample[axis]]))
    const shown = GLYPHS[mark.glyph](mark, table, (place) => place, (place) => place)
    const item = element("g", {transform: `translate(${left} 12)`}, ...shown, element("text", {class: "tick", x: 27, y: 4}, label))
    left += widths[i]
    return item
  })
}

// Marks ---------------------------------------------------------------------------------------------------------------

function dressed(shape, mark, row) {
  const color = (name) => mark[name]?.each ? mark[name].each[row] : mark[name]
  const [line, fill] = [color("line_color"), color("fill_color")]
  shape.style.stroke = line ? `var(${line})` : "none"
  shape.style.fill = fill ? `var(${fill})` : "none"
  shape.setAttribute("stroke-width", mark.line_width)
  shape.setAttribute("stroke-opacity", mark.line_alpha)
  if (fill) { shape.setAttribute("fill-opacity", mark.fill_alpha) }
  if (mark.line_dash.length) { shape.setAttribute("stroke-dasharray", mark.line_dash.join(" ")) }
  return shape
}

const GLYPHS = {
  Line(mark, table, x, y) {
    const [xs, ys] = [table[mark.places.x], table[mark.places.y]]
    let path = "", down = false
    for (let i = 0; i < xs.length; i++) {
      const [px, py] = [x(xs[i]), y(ys[i])]
      if (Number.isFinite(px) && Number.isFinite(py)) {
        path += `${down ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`
        down = true
      } else {
        down = false
      }
    }
    return path ? [dressed(element("path", {d: path, "stroke-linejoin": "round"}), mark, 0)] : []
  },

  Scatter(mark, table, x, y) {
    return rows(table, mark.places, x, y).map(({row, x: px, y: py}) => {
      const r = mark.size / 2
      const [h, a] = [r * Math.sqrt(3), r * Math.sqrt(3) / 3]
      const shape = mark.marker === "triangle"
        ? element("path", {d: `M${px - r} ${py + a}H${px + r}L${px} ${py + a - h}Z`})
        : element("circle", {cx: px, cy: py, r})
      return dressed(shape, mark, row)
    })
  },

  Quad(mark, table, x, y) {
    return rows(table, mark.places, x, y).map(({row, left, right, bottom, top}) => dressed(element("rect", {
      x: Math.min(left, right), y: Math.min(bottom, top),
      width: Math.abs(right - left), height: Math.abs(top - bottom)}), mark, row))
  },

  Segment(mark, table, x, y) {
    return rows(table, mark.places, x, y).map(({row, x0, y0, x1, y1}) => dressed(
      element("line", {x1: x0, y1: y0, x2: x1, y2: y1}), mark, row))
  },

  Text(mark, table, x, y) {
    const texts = table[mark.places.text]
    const size = parseFloat(mark.text_font_size)
    pen.font = `${mark.text_font_size} ${getComputedStyle(document.body).fontFamily}`
    const down = {top: 0.9, middle: 0.36, bottom: -0.25}[mark.text_baseline] * size
    return rows(table, {x: mark.places.x, y: mark.places.y}, x, y).map(({row, x: place, y: py}) => {
      const written = texts[row].split("\n")
      const px = within(place, Math.max(...written.map((line) => pen.measureText(line.trim()).width)), mark.text_align, x.ends)
      const lines = written.map((line, i) => element("tspan", {x: px, y: py + down + i * 1.2 * size}, line))
      const text = element("text", {class: `name ${{left: "start", center: "middle", right: "end"}[mark.text_align]}`}, ...lines)
      text.style.fill = `var(${mark.text_color})`
      text.style.fontSize = mark.text_font_size
      return text
    })
  },
}

// Where a text of that width is to stand, so that the plot's edge doesn't cut it; one that belongs outside stays there.
function within(place, width, align, [left, right]) {
  const before = {left: 0, center: width / 2, right: width}[align]
  return place < left || place > right ? place : Math.max(left + before, Math.min(right - width + before, place))
}

// The rows of a table in pixels, without those that lie nowhere.
function rows(table, places, x, y) {
  const found = []
  for (let row = 0; row < rowsOf(table); row++) {
    const at = {row}
    for (const [name, column] of Object.entries(places)) {
      at[name] = (/^(x|left|right)/.test(name) ? x : y)(table[column][row])
    }
    if (Object.values(at).every(Number.isFinite)) { found.push(at) }
  }
  return found
}

// One canvas for light and one for dark, of which the style sheet shows the one that fits: so it does on paper, too.
function bitmap(mark, image, x, y, width, height) {
  const [down, across] = mark.shape
  const [left, top, wide, high] = mark.frame
  const corners = {x: [x(left), x(left + wide)].sort((a, b) => a - b), y: [y(top), y(top + high)].sort((a, b) => a - b)}
  return ["light", "dark"].map((theme) => {
    const canvas = document.createElement("canvas")
    canvas.className = `bitmap ${theme}`
    canvas.width = across
    canvas.height = down
    const ink = index.ink[theme].match(/\w\w/g).map((byte) => parseInt(byte, 16))
    const pixels = new ImageData(across, down)
    for (let j = 0, at = 0; j < down; j++) {
      for (let i = 0; i < across; i++, at += 4) {
        pixels.data.set(ink, at)
        pixels.data[at + 3] = Math.round(255 * image(i, j))
      }
    }
    canvas.getContext("2d").putImageData(pixels, 0, 0)
    canvas.style.left = `${100 * corners.x[0] / width}%`
    canvas.style.top = `${100 * corners.y[0] / height}%`
    canvas.style.width = `${100 * (corners.x[1] - corners.x[0]) / width}%`
    canvas.style.height = `${100 * (corners.y[1] - corners.y[0]) / height}%`
    return canvas
  })
}
