
"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const list = byId("list"), tools = byId("tools"), data = byId("rows");
  const THUMBNAILS = Number(data.dataset.group);
  // divisible by 1, 2 and 3 columns, so that no group has a hole
  const GROUP = 24;
  // so many pixels beyond the window are kept ready
  const AHEAD = 1500;

  // --- rows: what can be asked of them ---------------------------------------------------------

  const plain = (text) => text.normalize("NFKC").toLowerCase();
  const close = (text) => text.replace(/[\s\-·.]+/g, "");
  const rows = JSON.parse(data.textContent);
  rows.forEach((row, place) => {
    row.place = place;
    const texts = plain(row.l.map(([text]) => text).join("\n"));
    row.words = plain(row.i) + "\n" + texts;
    row.close = texts.split("\n").map(close).join("\n");
    const known = row.l.map(([, confidence]) => confidence);
    if (row.c !== null) known.push(row.c);
    row.least = known.length ? Math.min(...known) : null;
  });

  const threshold = () => Number(byId("threshold").value) || 0;
  const filters = {
    all: () => true,
    text: (row) => row.l.length > 0,
    without: (row) => !row.l.length && row.f === null && row.u === null,
    near: (row) => row.u !== null,
    failed: (row) => row.f !== null,
    low: (row) => row.u === null && row.least !== null && row.least < threshold(),
    new: (row) => row.p,
  };
  // where there is no confidence it comes last, either way
  const orders = {
    name: (a, b) => a.place - b.place,
    unsure: (a, b) => (a.least ?? 101) - (b.least ?? 101) || a.place - b.place,
    sure: (a, b) => (b.least ?? -1) - (a.least ?? -1) || a.place - b.place,
    lines: (a, b) => b.l.length - a.l.length || a.place - b.place,
    latest: (a, b) => (b.t ?? "").localeCompare(a.t ?? "") || a.place - b.place,
  };

  const words = () => plain(byId("search").value).split(/\s+/).filter(Boolean);
  const matches = (row, wanted) =>
    wanted.every((word) => row.words.includes(word)) ||
    // a plate is found with and without its spaces
    row.close.includes(close(wanted.join("")) || "\n\n");

  // --- pictures: taken out of their group when they are shown -----------------------------------

  const opened = new Map();
  function thumbnail(place) {
    const number = Math.floor(place / THUMBNAILS);
    if (!opened.has(number)) {
      const group = document.getElementsByClassName("thumbnails")[number];
      // while the page still loads, the last group may be half there
      if (!group || (!group.nextElementSibling && document.readyState === "loading")) return null;
      opened.set(number, group.textContent.split("\n"));
      if (opened.size > 12) opened.delete(opened.keys().next().value);
    }
    return opened.get(number)[place % THUMBNAILS];
  }

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  }

  function drawn(name, attributes) {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  function overlay(row) {
    const svg = drawn("svg", { viewBox: "0 0 1 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    const both = (name, kind, attributes) => {
      svg.append(drawn(name, { ...attributes, class: "edge" }), drawn(name, { ...attributes, class: kind }));
    };
    for (const [x, y, width, height] of row.b) both("rect", "car", { x, y, width, height });
    for (const [, , polygon] of row.l) both("polygon", "text", { points: polygon.map((point) => point.join(",")).join(" ") });
    return svg;
  }

  const NO_PICTURE = { "!missing": "No picture: it is not there", "!unreadable": "No picture: it cannot be shown" };

  function showPicture(frame, row) {
    const entry = thumbnail(row.place);
    frame.toggleAttribute("data-waits", entry === null);
    if (entry === null) return;
    const [width, height, encoded] = entry.split(" ");
    if (encoded === undefined) {
      frame.replaceChildren(NO_PICTURE[entry] ?? "No picture");
      return;
    }
    const texts = row.l.map(([text]) => text).join(", ");
    const alt = (row.n ?? "Picture") + (texts ? `; text: ${texts}` : "");
    const image = element("img", { width, height, alt, decoding: "async" });
    image.src = "data:image/jpeg;base64," + encoded;
    frame.replaceChildren(element("div", { class: "stage" }, image, overlay(row)));
  }

  // --- cards ------------------------------------------------------------------------------------

  function percent(confidence) {
    const low = confidence < threshold() ? " low" : "";
    return element("span", { class: "percent" + low }, confidence.toFixed(1) + " %");
  }

  function marked(text, wanted) {
    const found = element("span", { dir: "auto" });
    const small = text.toLowerCase();
    // where lower case has another length, places would not be the same
    const at = small.length === text.length ? wanted.map((word) => [small.indexOf(word), word.length]).filter(([place]) => place >= 0) : [];
    let from = 0;
    for (const [place, length] of at.sort((a, b) => a[0] - b[0])) {
      if (place < from) continue;
      found.append(text.slice(from, place), element("mark", {}, text.slice(place, place + length)));
      from = place + length;
    }
    found.append(text.slice(from));
    return found;
  }

  function card(row, number, count, wanted) {
    const frame = element("div", { class: "frame" });
    showPicture(frame, row);
    const about = element("div", { class: "about" }, element("h2", {}, marked(row.i, wanted)));
    if (row.n !== null) {
      const label = element("p", { class: "label" }, element("span", {}, row.n));
      if (row.u !== null) label.append(element("span", { class: "percent" }, `${row.c} %, below ${row.u}`));
      else if (row.c !== null) label.append(percent(row.c));
      about.append(label);
    }
    if (row.l.length) {
      const lines = row.l.map(([text, confidence], line) =>
        element("li", { "data-line": line }, marked(text, wanted), percent(confidence)));
      about.append(element("ul", {}, ...lines));
    } else if (filters.without(row)) {
      about.append(element("p", { class: "none" }, "no text"));
    }
    if (row.f !== null) about.append(element("p", { class: "failure" }, "Failed: " + row.f));
    if (row.t) about.append(element("time", { datetime: row.t }, new Date(row.t).toLocaleTimeString()));
    return element("article", { class: "card", role: "listitem", "aria-posinset": number + 1, "aria-setsize": count, "data-place": row.place }, frame, about);
  }

  // --- groups: filled near the window, empty but as high elsewhere ------------------------------

  let shown = [], wanted = [];
  const observer = new IntersectionObserver((entries) => {
    for (const entry of entries) entry.isIntersecting ? fill(entry.target) : empty(entry.target);
  }, { rootMargin: `${AHEAD}px 0px` });

  function fill(group) {
    if (group.childElementCount) return;
    const first = Number(group.dataset.first);
    group.append(...shown.slice(first, first + GROUP).map((row, at) => card(row, first + at, shown.length, wanted)));
    group.style.height = "";
  }

  function empty(group) {
    if (!group.childElementCount || printing) return;
    group.style.height = group.offsetHeight + "px";
    group.replaceChildren();
  }

  // as if every card were as low as it can be; true heights come when a group is filled
  function guess(group) {
    const columns = getComputedStyle(list.firstElementChild ?? group).gridTemplateColumns.split(" ").length;
    const here = Math.min(GROUP, shown.length - Number(group.dataset.first));
    return Math.ceil(here / columns) * (242 + 12) - 12 + "px";
  }

  function update() {
    wanted = words();
    const found = rows.filter((row) => matches(row, wanted));
    for (const label of byId("filters").querySelectorAll("label")) {
      const kind = filters[label.firstElementChild.value];
      label.querySelector("b").textContent = found.filter(kind).length.toLocaleString("en");
    }
    const form = new FormData(tools);
    shown = found.filter(filters[form.get("filter")]).sort(orders[byId("sort").value]);
    observer.disconnect();
    const groups = [];
    for (let first = 0; first < shown.length; first += GROUP) {
      groups.push(element("div", { class: "group", role: "presentation", "data-first": first }));
    }
    list.replaceChildren(...groups);
    const heights = groups.map(guess);
    groups.forEach((group, at) => { group.style.height = heights[at]; });
    groups.slice(0, 2).forEach(fill);
    groups.forEach((group) => observer.observe(group));
    const noun = shown.length === 1 ? "picture" : "pictures";
    byId("shown").textContent = shown.length ? `${shown.length.toLocaleString("en")} ${noun}` : "nothing found";
  }

  // --- what people do ---------------------------------------------------------------------------

  let printing = false, later = 0;
  const soon = () => { clearTimeout(later); later = setTimeout(again, 80); };
  const again = () => {
    update();
    const top = tools.offsetTop;
    if (window.scrollY > top) window.scrollTo(0, top);
  };
  tools.addEventListener("submit", (event) => event.preventDefault());
  byId("search").addEventListener("input", soon);
  byId("threshold").addEventListener("input", soon);
  byId("sort").addEventListener("change", again);
  byId("filters").addEventListener("change", again);
  byId("boxes").addEventListener("change", (event) => list.classList.toggle("no-boxes", !event.target.checked));
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.ctrlKey && !event.metaKey && !event.target.closest("input, select")) {
      event.preventDefault();
      byId("search").focus();
    }
  });
  for (const [kind, hot] of [["pointerover", true], ["pointerout", false]]) {
    list.addEventListener(kind, (event) => {
      const line = event.target.closest("li");
      const polygon = line?.closest(".card").querySelectorAll("polygon.text")[line.dataset.line];
      polygon?.classList.toggle("hot", hot);
    });
  }
  window.addEventListener("beforeprint", () => {
    printing = true;
    [...list.children].forEach(fill);
  });
  window.addEventListener("afterprint", () => {
    printing = false;
    observer.disconnect();
    [...list.children].forEach((group) => observer.observe(group));
  });
  let width = list.clientWidth;
  window.addEventListener("resize", () => {
    if (list.clientWidth === width) return;
    width = list.clientWidth;
    for (const group of list.children) if (!group.childElementCount) group.style.height = guess(group);
  });

  if (!rows.some((row) => row.t)) byId("sort").querySelector("[value=latest]").remove();
  update();
  // pictures come in behind this script
  const bring = () => {
    for (const frame of list.querySelectorAll("[data-waits]")) showPicture(frame, rows[frame.parentElement.dataset.place]);
    if (document.readyState === "loading") setTimeout(bring, 100);
  };
  document.addEventListener("DOMContentLoaded", bring);
  bring();
})();
