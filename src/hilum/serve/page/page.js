// The page of `hilum serve`: one module, nothing from outside.

const AT_ONCE = 4; // requests under way, so that a folder does not fill the server's queue
const CLASS_NAMES = {
  covid19: "COVID-19", normal: "normal", pneumonia: "pneumonia",
  bacterial_pneumonia: "bacterial pneumonia", viral_pneumonia: "viral pneumonia",
  non_covid: "not COVID-19",
};
const $ = (selector, inside = document) => inside.querySelector(selector);
const named = (name) => CLASS_NAMES[name] ?? name;
const state = { classes: [], thresholds: {}, rows: [], sort: ["path", 1] };
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
  showVerdict(card.verdict, (card.audits.failed ?? []).length > 0 || !card.audits.verdict);
  showCard(card);
}

function showVerdict(sentence, failed) {
  $("#verdict").textContent = sentence;
  $("#verdict").classList.toggle("failed", failed);
}

function showCard(card) {
  const steps = card.preparation.map((step) => step.step).join(", ");
  const facts = {
    Classes: card.classes.map(named).join(", "),
    "Failed audits": (card.audits.failed ?? []).join(", ") || "none recorded",
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
  const body = new FormData();
  body.append("films", file, file.webkitRelativePath || file.name);
  for (let turn = 0; ; turn += 1) {
    const response = await ask("/v1/predict?heatmap=true&film=true", { method: "POST", body });
    if (response.status === 503 && turn < 20) {
      await new Promise((done) => setTimeout(done, 1000 * (response.headers.get("Retry-After") ?? 2)));
      continue;
    }
    const answer = await response.json();
    return answer.predictions?.[0]
      ?? { path: file.name, label: "", probabilities: {}, abstain: true, reason: answer.detail, seen: "" };
  }
}

// ---- many films

async function addFiles(files) {
  const waiting = [...files].filter((file) => !file.name.startsWith("."));
  if (!waiting.length) return;
  const total = waiting.length;
  let done = 0;
  const move = () => {
    $("#bar").hidden = false;
    $("#bar").max = total;
    $("#bar").value = done;
    $("#progress").textContent = `${done} of ${total} films answered.`;
  };
  move();
  const worker = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      let row;
      try {
        row = await predict(file);
      } catch {
        row = { path: file.name, label: "", probabilities: {}, abstain: true, seen: "",
          reason: "the server did not answer; try again." };
      }
      row.path = row.path || file.webkitRelativePath || file.name;
      state.rows.push(row);
      row.card = showFilm(row);
      done += 1;
      move();
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
    const cell = element("td", number ? found.toFixed(3) : shown(name, found));
    cell.className = number ? "number" : `col-${name}`;
    return cell;
  }))));
}

const shown = (name, value) => (name === "abstain" ? (value ? "yes" : "no")
  : name === "label" ? named(value) : String(value));
const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b
  : String(a).localeCompare(String(b), undefined, { numeric: true }));

function download() {
  // a cell that a spreadsheet would run as a formula is written as text
  const safe = (text) => (/^[=+\-@\t\r]/.test(text) ? `'${text}` : text);
  const cell = (value) => (typeof value === "number" ? value.toFixed(8)
    : `"${safe(value === true ? "True" : value === false ? "False" : String(value)).replaceAll('"', '""')}"`);
  const all = columns();
  const lines = [all.map(([name]) => name).join(","),
    ...state.rows.map((row) => all.map(([, of]) => cell(of(row))).join(","))];
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
  showOutcome(card, row);
  if (!row.label) {
    $(".columns", card).remove();
  } else {
    $(".bars", card).replaceChildren(...state.classes.map((name) => bar(name, row.probabilities[name])));
    showPicture(card, row);
  }
  $("#answers").prepend(card);
  return card;
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
  } else {
    label.textContent = named(row.label);
    why.textContent = "";
  }
  if (row.seen) why.textContent += ` Part of what the model was built on (${row.seen}): no test of it.`;
}

function bar(name, p) {
  const row = element("div");
  row.className = "row";
  row.setAttribute("role", "listitem");
  const threshold = state.thresholds[name];
  const words = wrap("div", [element("span", named(name)), element("span", p.toFixed(3))]);
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
    const note = element("div", `threshold ${threshold.toFixed(3)} (90 % sensitivity in validation)`);
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
    if (canvas.dataset.shown !== view.name) {
      canvas.width = image.naturalWidth;
      canvas.height = image.naturalHeight;
      canvas.getContext("2d").drawImage(image, 0, 0);
      canvas.dataset.shown = view.name;
      lungs.replaceChildren(...picture.lungs.map(polygon));
      $("figcaption", card).textContent = caption(view.name, picture, heat);
    }
    canvas.style.filter = `brightness(${100 + view.brightness}%) contrast(${view.contrast}%)`;
    layer.hidden = view.name !== "network" || !heat?.png;
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
    draw();
  });
  drag(stage, view, draw);
  draw();
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
    ? `Colour: what speaks for ${named(heat.class)} (${heat.method}), brightest where most does. It shows where the network looks, not whether it is right.`
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
