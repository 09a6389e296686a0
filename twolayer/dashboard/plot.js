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
      // Fetched at once; run when the browser has drawn the controls, for running it takes a while.
      const fetched = document.createElement("link");
      Object.assign(fetched, { rel: "preload", as: "script", href: address });
      document.head.append(fetched);
      requestIdleCallback(() => document.head.append(script), { timeout: 1000 });
    }));
  }
  return libraries.get(address);
}

function themed(layout, style) {
  const of = (name) => style.getPropertyValue(name).trim();
  const line = { gridcolor: of("--st-border-color"), linecolor: of("--st-border-color"), zeroline: false };
  return {
    ...layout,
    xaxis: { ...line, ...layout.xaxis },
    yaxis: { ...line, ...layout.yaxis },
    font: { family: of("--st-font"), color: of("--st-text-color"), size: 13 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    colorway: of("--st-chart-categorical-colors").split(",").map((color) => color.trim()),
  };
}

const newest = new WeakMap();

export default function ({ data: bytes, parentElement }) {
  const data = JSON.parse(new TextDecoder().decode(bytes));
  const prepared = parentElement.querySelector(".plot");
  prepared.style.height = `${data.height}px`;
  prepared.setAttribute("aria-label", data.alt);
  newest.set(parentElement, data);
  load(data.script).then((Plotly) => {
    // By now there may be newer data, or another node in the place of the one that was prepared.
    const host = parentElement.querySelector(".plot");
    if (newest.get(parentElement) !== data || !host) return;
    host.style.height = `${data.height}px`;
    host.setAttribute("aria-label", data.alt);
    const layout = themed(data.layout, getComputedStyle(parentElement));
    Plotly.react(host, data.traces, layout, { responsive: true, displaylogo: false });
  });
  return () => {
    // Also called when a page is drawn twice at its start, with the node still in its place.
    setTimeout(() => {
      const host = parentElement.querySelector(".plot");
      if (host && window.Plotly && !parentElement.isConnected) window.Plotly.purge(host);
    });
  };
}
