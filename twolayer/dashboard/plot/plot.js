// One Plotly chart in one node, kept from the first point to the last: Plotly.react changes the
// node's content, so that zoom, hover and hidden traces survive a redraw.

const libraries = new Map();

function load(url) {
  const address = new URL(url, document.baseURI).href;
  if (!libraries.has(address)) {
    libraries.set(address, new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      script.onload = () => resolve(window.Plotly);
      script.onerror = () => { libraries.delete(address); reject(new Error(`cannot load ${url}`)); };
      // The page has it fetched from its beginning on; it is run when the browser has drawn the controls,
      // for running it takes a while.
      requestIdleCallback(() => document.head.append(script), { timeout: 400 });
    }));
  }
  return libraries.get(address);
}

// Traces that did not change are not sent again: chart name -> uid -> { revision, trace }.
const kept = new Map();

// The traces of a message, those it only refers to filled in; null if one is not here.
function complete(name, traces) {
  const before = kept.get(name) ?? new Map();
  const now = new Map();
  const found = traces.map((trace) => {
    if (trace.uid === undefined) return trace;
    const { kept: refersTo, revision, ...drawn } = trace;
    const known = before.get(trace.uid);
    const entry = !refersTo ? { revision, trace: drawn } : known?.revision === revision ? known : null;
    if (entry) now.set(trace.uid, entry);
    return entry?.trace;
  });
  kept.set(name, now);
  return found.includes(undefined) ? null : found;
}

function palette(style) {
  const of = (name) => style.getPropertyValue(`--st-${name}`).trim();
  return {
    of,
    font: of("font"),
    categorical: of("chart-categorical-colors").split(",").map((color) => color.trim()),
  };
}

// "theme:2" is the third colour of the theme's charts, "theme:border-color" its variable of that name.
function coloured(value, colours) {
  if (typeof value === "string" && value.startsWith("theme:")) {
    const name = value.slice("theme:".length);
    return /^\d+$/.test(name) ? colours.categorical[name % colours.categorical.length] : colours.of(name);
  }
  if (Array.isArray(value)) {
    const mayHold = value.some((item) => typeof item === "object" || String(item).startsWith("theme:"));
    return mayHold ? value.map((item) => coloured(item, colours)) : value;
  }
  if (value === null || typeof value !== "object" || "bdata" in value) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, coloured(item, colours)]));
}

function themed(layout, colours) {
  const grid = colours.of("border-color");
  const line = { gridcolor: grid, linecolor: grid, zerolinecolor: grid };
  const axes = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  const styled = [...new Set([...axes, "xaxis", "yaxis"])].map(
    (key) => [key, { ...line, zeroline: false, ...layout[key] }],
  );
  return coloured({
    ...layout,
    ...Object.fromEntries(styled),
    font: { family: colours.font, color: colours.of("text-color"), size: 13 },
    paper_bgcolor: colours.of("background-color"),
    plot_bgcolor: colours.of("background-color"),
    hoverlabel: { bgcolor: colours.of("secondary-background-color"), bordercolor: grid, font: { color: colours.of("text-color") } },
    colorway: colours.categorical,
    ...(coarse ? { dragmode: false } : {}),
    ...(narrow.matches && layout.legend ? { legend: { ...layout.legend, font: { size: 10 } } } : {}),
  }, colours);
}

// On a screen for fingers a chart leaves every gesture to the page: it is zoomed by buttons alone.
const coarse = matchMedia("(pointer: coarse)").matches;
// There a legend in smaller letters takes half the rows.
const narrow = matchMedia("(max-width: 640px)");

function configuration(Plotly, data) {
  if (data.words) Plotly.register({ moduleType: "locale", name: data.locale, dictionary: data.words, format: {} });
  return {
    responsive: true,
    displaylogo: false,
    locale: data.locale,
    ...(coarse ? { modeBarButtons: [["zoomIn2d", "zoomOut2d", "resetScale2d"]] } : {}),
    modeBarButtonsToRemove: ["select2d", "lasso2d"],
    showSendToCloud: false, // nothing leaves the page for another server
    plotlyServerURL: "",
    toImageButtonOptions: { format: "png", filename: data.name, scale: 2 },
  };
}

// What the keyboard does on a chart that has the focus: a factor or a shift of each axis's range.
const KEYS = {
  "+": { factor: 0.5 }, "=": { factor: 0.5 }, "-": { factor: 2 },
  ArrowLeft: { x: -0.2 }, ArrowRight: { x: 0.2 }, ArrowUp: { y: 0.2 }, ArrowDown: { y: -0.2 },
};

function onKey(event) {
  const host = event.currentTarget;
  if (event.target !== host) {
    onToolbarKey(event);
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || !host._fullLayout?.xaxis) return;
  const change = {};
  if (event.key === "0") {
    Object.assign(change, { "xaxis.autorange": true, "yaxis.autorange": true });
  } else if (KEYS[event.key]) {
    const { factor = 1, ...shift } = KEYS[event.key];
    for (const axis of ["x", "y"]) {
      const [low, high] = host._fullLayout[`${axis}axis`].range;
      const middle = (low + high) / 2 + (shift[axis] ?? 0) * (high - low);
      const half = (high - low) / 2 * factor;
      if (factor !== 1 || shift[axis]) change[`${axis}axis.range`] = [middle - half, middle + half];
    }
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
  window.Plotly.relayout(host, change);
}

const TOOLBAR_HEIGHT = 26;

// The buttons of a chart are one stop of the Tab key; the arrow keys go from one to the next. Where they are
// always in view, they are not above a legend.
function makeToolbar(host, { toolbar: label, layout, height }) {
  const bar = host.querySelector(".modebar");
  const buttons = [...host.querySelectorAll(".modebar-btn")];
  if (!bar || !buttons.length) return;
  if (coarse) bar.style.top = layout.showlegend ? `${height - TOOLBAR_HEIGHT}px` : "";
  bar.setAttribute("role", "toolbar");
  bar.setAttribute("aria-label", label);
  const focused = Math.max(0, buttons.indexOf(document.activeElement));
  for (const [place, button] of buttons.entries()) {
    button.tabIndex = place === focused ? 0 : -1;
    button.setAttribute("role", "button");
    button.setAttribute("aria-label", button.dataset.title);
  }
}

function onToolbarKey(event) {
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    event.target.dispatchEvent(new MouseEvent("click", { bubbles: true }));
  }
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!by) return;
  event.preventDefault();
  event.stopPropagation();
  const buttons = [...event.currentTarget.querySelectorAll(".modebar-btn")];
  const next = buttons.at((buttons.indexOf(event.target) + by) % buttons.length);
  for (const button of buttons) button.tabIndex = button === next ? 0 : -1;
  next.focus();
}

const newest = new WeakMap();
const shown = new WeakMap();

async function draw(parentElement, { data, setTriggerValue }) {
  let Plotly;
  try {
    Plotly = await load(data.script);
  } catch {
    setTriggerValue("failed", true);
    return;
  }
  // By now there may be newer data, or another node in the place of the one that was prepared.
  const host = parentElement.querySelector(".plot");
  if (newest.get(parentElement)?.data !== data || !host) return;
  const colours = palette(getComputedStyle(parentElement));
  const state = data.text + colours.categorical + colours.of("background-color") + colours.font;
  if (shown.get(host) === state) return;
  shown.set(host, state);
  host.style.height = `${data.height}px`;
  host.setAttribute("aria-label", data.alt);
  const traces = data.traces.map((trace) => coloured(trace, colours));
  await Plotly.react(host, traces, themed(data.layout, colours), configuration(Plotly, data));
  makeToolbar(host, data);
  if (host.listening) return;
  host.listening = true;
  host.addEventListener("keydown", onKey);
  // Plotly would take the gesture for itself. A tap still comes, as the mouse events that the browser makes of it.
  if (coarse) host.addEventListener("touchstart", (event) => event.stopPropagation(), { capture: true, passive: true });
  // The colour of the text is animated for a moment, so that a change of the theme is an event.
  host.addEventListener("transitionend", (event) => {
    if (event.propertyName === "color" && event.target === host) draw(parentElement, newest.get(parentElement));
  });
  host.on("plotly_click", ({ points: [point] }) => {
    const current = newest.get(parentElement);
    if (!current.data.clickable) return;
    const { x, y, pointNumber, customdata } = point;
    current.setTriggerValue("clicked", { trace: point.data.name, point: pointNumber, x, y, customdata });
  });
}

export default function ({ data: bytes, parentElement, setTriggerValue }) {
  const text = new TextDecoder().decode(bytes);
  const data = { ...JSON.parse(text), text };
  const prepared = parentElement.querySelector(".plot");
  prepared.style.height = `${data.height}px`;
  prepared.style.color = "var(--st-text-color)";
  prepared.style.transition = "color 1ms";
  prepared.setAttribute("aria-label", data.alt);
  data.traces = complete(data.name, data.traces);
  if (data.traces === null) {
    setTriggerValue("missing", true);
  } else {
    newest.set(parentElement, { data, setTriggerValue });
    draw(parentElement, newest.get(parentElement));
  }
  return () => {
    // Also called when a page is drawn twice at its start, with the node still in its place.
    setTimeout(() => {
      const host = parentElement.querySelector(".plot");
      if (host && window.Plotly && !parentElement.isConnected) window.Plotly.purge(host);
    });
  };
}
