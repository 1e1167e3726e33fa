// The page of `hilum serve`: one module, nothing from outside.

const AT_ONCE = 4; // requests under way, so that a folder does not fill the server's queue
const CLASS_NAMES = {
  covid19: "COVID-19", normal: "normal", pneumonia: "pneumonia",
  bacterial_pneumonia: "bacterial pneumonia", viral_pneumonia: "viral pneumonia",
  non_covid: "not COVID-19",
};
const METHODS = { gradcam: "Grad-CAM" };
const $ = (selector, inside = document) => inside.querySelector(selector);
const named = (name) => CLASS_NAMES[name] ?? name;
const state = { classes: [], thresholds: {}, limit: Infinity, rows: [], sort: ["path", 1], count: 0 };
let token = sessionStorage.getItem("hilum-token") ?? "";

// ---- the server

async function ask(path, options = {}) {
  const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const response = await fetch(path, { ...options, headers });
  if (response.status === 401) $("#token-form").hidden = false;
  return response;
}

async function openModel() {
  let response;
  try {
    response = await ask("/v1/model");
  } catch {
    return showVerdict("The server does not answer.", true);
  }
  const card = await response.json();
  if (!response.ok) return showVerdict(card.detail, true);
  $("#token-form").hidden = true;
  state.classes = card.classes;
  state.thresholds = card.thresholds;
  state.limit = card.limits.body;
  const failed = card.audits.failed ?? [];
  showVerdict(card.audits.verdict ?? card.verdict, failed.length > 0 || !card.audits.verdict, failed);
  $("#verdict").classList.toggle("caution", (card.audits.warned ?? []).length > 0);
  showCard(card);
}

function showVerdict(sentence, alarming, failed = []) {
  $("#sentence").textContent = sentence;
  $("#verdict").classList.toggle("failed", alarming);
  $("#failed").hidden = !failed.length;
  $("#failed").replaceChildren(...failed.map((name) => element("li", `Failed audit: ${name}`)));
}

function showCard(card) {
  const steps = card.preparation.map((step) => step.step).join(", ");
  const facts = {
    Classes: card.classes.map(named).join(", "),
    Judged: card.audits.date ? `${card.audits.date}, by ${card.audits.by === "audit" ? "hilum audit" : "the run that made it"}` : "not recorded",
    Preparation: steps,
    "Trained on": [...(card.provenance.sources ?? [])].join(", ") || "not recorded",
    Digest: card.digest,
    Version: `hilum ${card.version}`,
  };
  $("#card").replaceChildren(...Object.entries(facts).flatMap(([name, value]) =>
    [element("dt", name), element("dd", value)]));
  $("#facts").hidden = false;
}

async function predict(file) {
  if (file.size > state.limit - 2048) { // the server would close the connection in our face
    return unread(`expected at most ${Math.floor(state.limit / 2 ** 20)} MiB, got a larger file; export it again, compressed.`);
  }
  const body = new FormData();
  body.append("films", file, file.webkitRelativePath || file.name);
  for (let turn = 0; ; turn += 1) {
    const response = await ask("/v1/predict?heatmap=true&film=true", { method: "POST", body });
    if (response.status === 503 && turn < 20) {
      await new Promise((done) => setTimeout(done, 1000 * (response.headers.get("Retry-After") ?? 2)));
      continue;
    }
    const answer = await response.json();
    return answer.predictions?.[0] ?? unread(answer.detail);
  }
}

const shownProbability = (p) => (p >= 0.9995 ? "> 0.999" : p < 0.0005 ? "< 0.001" : p.toFixed(3));

const unread = (reason) => ({ path: "", label: "", probabilities: {}, abstain: true, reason, seen: "", new_source: "" });

// ---- many films

async function addFiles(files) {
  const waiting = [...files].filter((file) => !file.name.startsWith("."))
    .map((file) => ({ file, place: state.count++, path: file.webkitRelativePath || file.name }));
  if (!waiting.length) return;
  const total = waiting.length;
  const ends = { answered: 0, "abstained from": 0, "not read": 0 };
  const progress = () => {
    const done = Object.values(ends).reduce((sum, count) => sum + count);
    const counts = Object.entries(ends).map(([end, count]) => `${count} ${end}`).join(", ");
    $("#bar").hidden = false;
    $("#bar").max = total;
    $("#bar").value = done;
    $("#progress").textContent = `${done} of ${total} films done: ${counts}.`;
  };
  progress();
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      let row;
      try {
        row = await predict(next.file);
      } catch {
        row = unread("the server did not answer; try again.");
      }
      Object.assign(row, { path: next.path, place: next.place });
      state.rows.push(row);
      showFilm(row);
      ends[!row.label ? "not read" : row.abstain ? "abstained from" : "answered"] += 1;
      progress();
      showTable();
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  $("#bar").hidden = true;
}

async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files];
  return (await Promise.all(entries.map(walk))).flat();
}

async function walk(entry) {
  if (entry.isFile) return [await new Promise((done, fail) => entry.file(done, fail))];
  const reader = entry.createReader();
  const inside = [];
  for (;;) { // a reader gives at most 100 entries at a time
    const part = await new Promise((done, fail) => reader.readEntries(done, fail));
    if (!part.length) break;
    inside.push(...part);
  }
  return (await Promise.all(inside.map(walk))).flat();
}

// ---- the table

function columns() {
  return [
    ["path", (row) => row.path], ["label", (row) => row.label],
    ...state.classes.map((name) => [`p_${name}`, (row) => row.probabilities[name] ?? ""]),
    ["abstain", (row) => row.abstain], ["reason", (row) => row.reason], ["seen", (row) => row.seen],
    ["new_source", (row) => row.new_source],
  ];
}

function showTable() {
  $("#batch").hidden = !state.rows.length;
  const [by, way] = state.sort;
  const all = columns();
  const value = all.find(([name]) => name === by)?.[1] ?? ((row) => row.path);
  const rows = [...state.rows].sort((a, b) => way * compare(value(a), value(b)));
  const heads = all.map(([name]) => {
    const cell = element("th");
    cell.scope = "col";
    if (name === by) cell.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
    const button = element("button", name + (name === by ? (way > 0 ? " ▲" : " ▼") : ""));
    button.type = "button";
    button.addEventListener("click", () => {
      state.sort = [name, name === by ? -way : 1];
      showTable();
      $("#head").querySelectorAll("button")[all.findIndex(([other]) => other === name)].focus();
    });
    cell.append(button);
    return cell;
  });
  $("#head").replaceChildren(wrap("tr", heads));
  $("#rows").replaceChildren(...rows.map((row) => wrap("tr", all.map(([name, of]) => {
    const found = of(row);
    const number = typeof found === "number";
    const cell = element("td", number ? found.toFixed(3) : shown(name, found, row));
    cell.className = number ? "number" : `col-${name}`;
    if (name === "path") cell.replaceChildren(linkTo(row));
    return cell;
  }))));
}

function linkTo(row) {
  const button = element("button", row.path);
  button.type = "button";
  button.addEventListener("click", () => {
    row.card.scrollIntoView();
    $("h3", row.card).focus();
  });
  return button;
}

// a class beside "abstains" would be read as an answer; the CSV has it, as that of the command
const shown = (name, value, row) => (name === "abstain" ? (value ? "yes" : "no")
  : name === "label" ? (row.label && row.abstain ? "abstains" : named(value)) : String(value));
const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
  : String(a).localeCompare(String(b), undefined, { numeric: true }));

function download() {
  // a cell that a spreadsheet would run as a formula is written as text
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const cell = (value) => (typeof value === "number" ? value.toFixed(8)
    : `"${safe(value === true ? "True" : value === false ? "False" : String(value)).replaceAll('"', '""')}"`);
  const all = columns();
  const lines = [all.map(([name]) => name).join(","),
    ...[...state.rows].sort((a, b) => a.place - b.place).map((row) => all.map(([, of]) => cell(of(row))).join(","))];
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
  link.download = "preds.csv";
  link.click();
  URL.revokeObjectURL(link.href);
}

// ---- one film

function showFilm(row) {
  const card = $("#card-template").content.cloneNode(true).firstElementChild;
  $("h3", card).textContent = row.path;
  $("h3", card).tabIndex = -1;
  showOutcome(card, row);
  if (!row.label) {
    $(".columns", card).remove();
  } else {
    $(".bars", card).replaceChildren(...state.classes.map((name) => bar(name, row.probabilities[name])));
    showPicture(card, row);
  }
  row.card = card;
  const later = state.rows.filter((other) => other.card && other.place > row.place);
  later.sort((a, b) => a.place - b.place);
  $("#answers").insertBefore(card, later[0]?.card ?? null); // in the order of the files
}

function showOutcome(card, row) {
  const label = $(".label", card), why = $(".why", card);
  if (!row.label) {
    label.textContent = "Not read";
    why.textContent = sentence(row.reason);
    $(".outcome", card).classList.add("unread");
  } else if (row.abstain) {
    label.textContent = "The model abstains";
    why.textContent = `${sentence(row.reason)} Its probabilities below are no answer.`;
    $(".outcome", card).classList.add("abstains");
    card.classList.add("undecided");
  } else {
    label.textContent = `Most probable: ${named(row.label)}`;
    why.textContent = "";
  }
  if (row.seen) why.textContent += ` The model was built on it (${row.seen}), so it is no test of the model.`;
}

function bar(name, p) {
  const row = element("div");
  row.className = "row";
  row.setAttribute("role", "listitem");
  const threshold = state.thresholds[name];
  const words = wrap("div", [element("span", named(name)), element("span", shownProbability(p))]);
  words.className = "words";
  const track = element("div"), fill = element("span");
  track.className = "track";
  fill.className = "fill";
  fill.style.width = `${100 * p}%`;
  track.append(fill);
  row.append(words, track);
  if (threshold !== undefined) {
    const mark = element("span");
    mark.className = "threshold";
    mark.style.left = `calc(${100 * Math.min(threshold, 1)}% - 1px)`;
    track.append(mark);
    const note = element("div", `threshold ${threshold.toFixed(3)} (90% sensitivity in validation)`);
    note.className = "small";
    row.append(note);
  }
  return row;
}

function showPicture(card, row) {
  const heat = row.heatmap, stage = $(".stage", card);
  const canvas = $(".base", card), layer = $(".heat", card), lungs = $(".lungs", card);
  const pictures = { network: row.as_seen, film: row.film };
  const view = { name: "network", brightness: 0, contrast: 100 };
  const images = {};
  for (const [name, picture] of Object.entries(pictures)) {
    images[name] = new Image();
    images[name].src = `data:image/png;base64,${picture.png}`;
  }
  if (heat?.png) layer.src = `data:image/png;base64,${heat.png}`;
  const draw = () => {
    const image = images[view.name], picture = pictures[view.name];
    if (!image.complete) return image.addEventListener("load", draw, { once: true });
    if (view.shown !== view.name) {
      view.shown = view.name;
      view.grey = greyOf(canvas, image);
      lungs.replaceChildren(...picture.lungs.map(polygon));
      $("figcaption", card).textContent = caption(view.name, picture, heat);
    }
    $(".window", card).textContent = drawWindow(canvas, view);
    layer.hidden = view.name !== "network" || !heat?.png;
    $(".opacity", card).disabled = layer.hidden;
    layer.style.opacity = $(".opacity", card).value / 100;
    lungs.style.display = $(".outline", card).checked ? "" : "none";
    $(".brightness", card).value = view.brightness;
    $(".contrast", card).value = view.contrast;
    const what = view.name === "film" ? "Whole film" : "Film as the network sees it, with heat map";
    const answer = row.abstain ? "The model abstains." : `Answer: ${named(row.label)}.`;
    stage.setAttribute("aria-label", `${what}: ${row.path}. ${answer}`);
  };
  const buttons = [["network", heat?.png ? "With heat map" : "As the network sees it"], ["film", "Whole film"]].map(([name, words]) => {
    const button = element("button", words);
    button.type = "button";
    button.addEventListener("click", () => {
      view.name = name;
      for (const other of buttons) other.setAttribute("aria-pressed", String(other === button));
      draw();
    });
    button.setAttribute("aria-pressed", String(name === view.name));
    return button;
  });
  $(".views", card).append(...buttons);
  for (const name of ["brightness", "contrast"]) {
    $(`.${name}`, card).addEventListener("input", (event) => { view[name] = Number(event.target.value); draw(); });
  }
  $(".opacity", card).addEventListener("input", draw);
  $(".outline", card).addEventListener("change", draw);
  $(".reset", card).addEventListener("click", () => {
    Object.assign(view, { brightness: 0, contrast: 100 });
    $(".opacity", card).value = 70;
    $(".outline", card).checked = true;
    draw();
  });
  drag(stage, view, draw);
  draw();
}

// the film's grey levels, read once
function greyOf(canvas, image) {
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// a window as DICOM has it (PS3.3 C.11.2.1.2): from black at its lower end to white at its upper
function drawWindow(canvas, view) {
  const width = 25500 / view.contrast, level = 127.5 * (1 - view.brightness / 100);
  const table = Uint8ClampedArray.from({ length: 256 }, (_, x) => 255 * ((x - level) / width + 0.5));
  const drawn = new Uint8ClampedArray(view.grey.data);
  for (let i = 0; i < drawn.length; i += 4) drawn[i] = drawn[i + 1] = drawn[i + 2] = table[drawn[i]];
  canvas.getContext("2d").putImageData(new ImageData(drawn, view.grey.width), 0, 0);
  return `Window: level ${Math.round(level)}, width ${Math.round(width)} of 0 to 255`;
}

function polygon(line) {
  const shape = document.createElementNS("http://www.w3.org/2000/svg", "polygon");
  shape.setAttribute("points", line.map((point) => point.join(",")).join(" "));
  return shape;
}

function caption(name, picture, heat) {
  const lungs = sentence(picture.lungs_reason || "Blue lines: the lungs, as hilum finds them");
  const grey = `Grey: ${picture.greys}.`;
  if (name === "film") return `The whole film. ${lungs} ${grey}`;
  const map = heat?.png
    ? `Colour: evidence for ${named(heat.class)} (${METHODS[heat.method] ?? heat.method}), brightest where it is strongest. It shows where the network looks, not whether it is right.`
    : sentence(heat?.reason || "No heat map");
  return `As the network sees it. ${map} ${lungs} ${grey}`;
}

function drag(stage, view, draw) {
  const change = (right, up) => {
    view.contrast = Math.min(400, Math.max(20, view.contrast + right));
    view.brightness = Math.min(100, Math.max(-100, view.brightness + up));
    draw();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "touch") return; // a finger scrolls; the sliders are there
    stage.setPointerCapture(event.pointerId);
    event.preventDefault();
    stage.focus();
  });
  stage.addEventListener("pointermove", (event) => {
    if (stage.hasPointerCapture(event.pointerId)) change(event.movementX, -event.movementY / 2);
  });
  stage.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [0, 5], ArrowDown: [0, -5], ArrowRight: [10, 0], ArrowLeft: [-10, 0] }[event.key];
    if (!step) return;
    event.preventDefault();
    change(...step);
  });
}

// ---- small things

function element(tag, text = "") {
  const made = document.createElement(tag);
  made.textContent = text;
  return made;
}

function sentence(text) {
  const end = /[.!?]$/.test(text) ? "" : ".";
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}

function wrap(tag, inside) {
  const made = document.createElement(tag);
  made.append(...inside);
  return made;
}

function start() {
  const drop = $("#drop");
  for (const kind of ["dragover", "dragenter"]) {
    document.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  }
  document.addEventListener("dragleave", () => drop.classList.remove("over"));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    addFiles(await filesOf(event.dataTransfer));
  });
  for (const input of [$("#files"), $("#folder")]) {
    input.addEventListener("change", () => { addFiles(input.files); });
  }
  $("#csv").addEventListener("click", download);
  $("#clear").addEventListener("click", () => {
    state.rows = [];
    $("#answers").replaceChildren();
    $("#progress").textContent = "";
    showTable();
  });
  $("#token-form").addEventListener("submit", (event) => {
    event.preventDefault();
    token = $("#token").value;
    sessionStorage.setItem("hilum-token", token);
    openModel();
  });
  openModel();
}

start();
