"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const PER_PAGE = 24;
const state = { page: 0, boxes: true, masks: true, classes: new Set(data.classes.keys()), sizes: new Set(["small", "medium", "large"]),
  verdict: "", part: "", column: "", low: null, high: null, sort: "" };
const pictures = new Map();

function element(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function color(number, alpha = 1) {
  return `hsl(${(number * 137.508 + 200) % 360} 85% 55% / ${alpha})`;
}

function numeric(values) {
  return values.some((value) => typeof value === "number");
}

const boxColumns = [...new Set(data.images.flatMap((image) => image.boxes.flatMap((box) => Object.keys(box.k))))].sort();
const imageColumns = [...new Set(data.images.flatMap((image) => Object.keys(image.k)))].sort();
const columns = [
  ...boxColumns.filter((name) => numeric(data.images.flatMap((i) => i.boxes.map((b) => b.k[name])))).map((name) => "box " + name),
  ...imageColumns.filter((name) => numeric(data.images.map((i) => i.k[name]))).map((name) => "image " + name),
];

function valueOf(image, box, column) {
  const name = column.slice(column.indexOf(" ") + 1);
  return column.startsWith("image ") ? image.k[name] : box ? box.k[name] : undefined;
}

function inRange(value) {
  if (state.low === null && state.high === null) return true;
  if (typeof value !== "number") return false;
  return (state.low === null || value >= state.low) && (state.high === null || value <= state.high);
}

function shownBoxes(image) {
  return image.boxes.filter((box) => state.classes.has(box.c) && state.sizes.has(box.z)
    && (!state.column.startsWith("box ") || inRange(valueOf(image, box, state.column))));
}

function isFiltered() {
  return state.classes.size < data.classes.length || state.sizes.size < 3
    || (state.column.startsWith("box ") && (state.low !== null || state.high !== null));
}

function shownImages() {
  const found = data.images.filter((image) => (!state.verdict || image.verdict === state.verdict)
    && (!state.part || image.part === state.part)
    && (!state.column.startsWith("image ") || inRange(valueOf(image, null, state.column)))
    && (!isFiltered() || shownBoxes(image).length > 0));
  if (!state.sort) return found;
  const key = (image) => {
    if (state.sort.startsWith("image ")) return valueOf(image, null, state.sort);
    const values = shownBoxes(image).map((box) => valueOf(image, box, state.sort)).filter((v) => typeof v === "number");
    return values.length ? Math.max(...values) : undefined;
  };
  const number = (value) => (typeof value === "number" ? value : -Infinity);
  return found.map((image) => [number(key(image)), image]).sort((a, b) => b[0] - a[0]).map((pair) => pair[1]);
}

// COCO's compressed run lengths: five bits per character, differences to the run before the last from the third on.
function runs(text) {
  const out = [];
  for (let at = 0; at < text.length;) {
    let value = 0, shift = 0, more = true;
    while (more && at < text.length) {
      const code = text.charCodeAt(at++) - 48;
      value |= (code & 31) << shift;
      more = (code & 32) !== 0;
      shift += 5;
      if (!more && (code & 16)) value |= -1 << shift;
    }
    if (out.length > 2) value += out[out.length - 2];
    out.push(value);
  }
  return out;
}

function drawMask(context, image, box) {
  context.fillStyle = color(box.c, 0.42);
  if (Array.isArray(box.s)) {
    context.beginPath();
    for (const polygon of box.s) {
      for (let k = 0; k + 1 < polygon.length; k += 2) {
        if (k) context.lineTo(polygon[k], polygon[k + 1]);
        else context.moveTo(polygon[0], polygon[1]);
      }
      context.closePath();
    }
    context.fill("evenodd");
    return;
  }
  let at = 0;
  context.beginPath();
  runs(box.s).forEach((length, number) => {
    for (let end = at + length; number % 2 && at < end;) {
      const column = Math.floor(at / image.h), row = at % image.h, rows = Math.min(end - at, image.h - row);
      context.rect(column, row, 1, rows);
      at += rows;
    }
    if (number % 2 === 0) at += length;
  });
  context.fill();
}

function load(image) {
  if (!pictures.has(image)) {
    pictures.set(image, new Promise((resolve) => {
      const picture = new Image();
      picture.onload = () => resolve(picture);
      picture.onerror = () => resolve(null);
      picture.src = image.src;
    }));
    if (pictures.size > 200) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(image);
}

async function draw(canvas, image, width) {
  const scale = Math.min(1, width / image.w);
  canvas.width = Math.round(image.w * scale);
  canvas.height = Math.round(image.h * scale);
  const picture = await load(image);
  const context = canvas.getContext("2d");
  if (picture) context.drawImage(picture, 0, 0, canvas.width, canvas.height);
  else context.fillText("The image file is missing.", 8, 20);
  context.scale(canvas.width / image.w, canvas.height / image.h);
  for (const box of shownBoxes(image)) {
    if (state.masks && box.s) drawMask(context, image, box);
    if (state.boxes) {
      context.lineWidth = 2 / scale;
      context.setLineDash(box.i ? [6 / scale, 4 / scale] : []);
      context.strokeStyle = color(box.c);
      context.strokeRect(...box.b);
    }
  }
}

function describe(image) {
  const boxes = shownBoxes(image);
  const counts = data.classes.map((name, number) => [name, boxes.filter((box) => box.c === number).length]).filter((c) => c[1]);
  return counts.map(([name, count]) => `${count} ${name}`).join(", ") || "no boxes";
}

function enlarge(image) {
  const dialog = document.getElementById("large");
  const canvas = element("canvas", { role: "img", "aria-label": `${image.name}: ${describe(image)}` });
  const names = [...new Set(image.boxes.flatMap((box) => Object.keys(box.k)))];
  const rows = shownBoxes(image).map((box) => element("tr", {},
    element("td", {}, data.classes[box.c] + (box.i ? " (crowd)" : "")), element("td", {}, box.b.join(", ")), element("td", {}, box.z),
    ...names.map((name) => element("td", {}, String(box.k[name] ?? "")))));
  const head = element("tr", {}, ...["class", "box", "size", ...names].map((name) => element("th", { scope: "col" }, name)));
  const about = Object.entries(image.k).map(([name, value]) => `${name} ${value}`).join(" · ");
  dialog.replaceChildren(
    element("p", {}, element("span", {}, element("b", {}, image.name), ` ${image.w} x ${image.h} ${image.part} · ${about}`),
      element("button", { type: "button", onclick: () => dialog.close() }, "Close")),
    canvas, element("div", { class: "scroll" }, element("table", {}, head, ...rows)));
  dialog.showModal();
  draw(canvas, image, 1600);
}

function card(image) {
  if (!image.src) {
    return element("figure", {}, element("div", { class: "none" }, image.notes),
      element("figcaption", {}, element("b", {}, image.name), ` ${image.verdict}`));
  }
  const canvas = element("canvas", { role: "img", "aria-label": `${image.name}: ${describe(image)}` });
  draw(canvas, image, 480);
  return element("figure", {},
    element("button", { type: "button", title: "Enlarge", onclick: () => enlarge(image) }, canvas),
    element("figcaption", {}, element("b", {}, image.name), ` ${image.part} ${describe(image)}`));
}

function show() {
  const images = shownImages();
  const pages = Math.max(1, Math.ceil(images.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const boxes = images.reduce((sum, image) => sum + shownBoxes(image).length, 0);
  document.getElementById("count").textContent = `${images.length} of ${data.images.length} images, ${boxes} boxes`;
  document.getElementById("grid").replaceChildren(
    ...images.slice(state.page * PER_PAGE, (state.page + 1) * PER_PAGE).map(card));
  const turn = (by) => () => { state.page += by; show(); scrollTo(0, 0); };
  document.getElementById("pages").replaceChildren(
    element("button", { type: "button", disabled: state.page === 0, onclick: turn(-1) }, "Previous"),
    `Page ${state.page + 1} of ${pages}`,
    element("button", { type: "button", disabled: state.page >= pages - 1, onclick: turn(1) }, "Next"));
}

function change(values) {
  Object.assign(state, values, { page: 0 });
  show();
}

function checks(title, entries, set) {
  return element("fieldset", {}, element("legend", {}, title), ...entries.map(([key, name, swatch]) =>
    element("label", {}, element("input", { type: "checkbox", checked: true, onchange: (event) => {
      if (event.target.checked) set.add(key); else set.delete(key);
      change({});
    } }), swatch ? swatch : null, name)));
}

function choice(title, values, key, all) {
  if (values.length < 2 && all !== "no metric" && all !== "as listed") return null;
  const options = [element("option", { value: "" }, all), ...values.map((value) => element("option", { value }, value))];
  return element("label", {}, title, element("select", { "aria-label": title || "Metric", onchange: (event) => change({ [key]: event.target.value }) }, ...options));
}

function bound(title, key) {
  return element("input", { type: "number", step: "any", placeholder: title, "aria-label": `${title} of the metric`,
    oninput: (event) => change({ [key]: event.target.value === "" ? null : Number(event.target.value) }) });
}

function filters() {
  const swatches = data.classes.map((name, number) => {
    const mark = element("i");
    mark.style.background = color(number);
    return [number, name, mark];
  });
  const toggle = (title, key) => element("label", {}, element("input", { type: "checkbox", checked: true,
    onchange: (event) => change({ [key]: event.target.checked }) }), title);
  const values = (key) => [...new Set(data.images.map((image) => image[key]).filter(Boolean))];
  const form = document.getElementById("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.append(...[
    checks("Classes", swatches, state.classes),
    checks("Size", [["small"], ["medium"], ["large"]].map(([name]) => [name, name]), state.sizes),
    element("fieldset", {}, element("legend", {}, "Draw"), toggle("boxes", "boxes"), toggle("masks", "masks")),
    choice("Verdict", values("verdict"), "verdict", "any"),
    choice("Part", values("part"), "part", "any"),
    element("fieldset", {}, element("legend", {}, "Metric"), choice("", columns, "column", "no metric"), bound("least", "low"), bound("most", "high")),
    choice("Order", columns, "sort", "as listed"),
  ].filter(Boolean));
}

filters();
show();
