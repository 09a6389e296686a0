const NAME = "twolayer-visitor";
const AGAIN_MS = 4000;
const MOST_TRIES = 30;
const THANKS_MS = 2000;
let tries = 0;
let timer = null;
let fetched = false;

// What the charts will ask for, as early as may be: it is on its way while the rest of the page comes.
function fetchSoon(addresses) {
  if (fetched) return;
  fetched = true;
  for (const address of addresses) {
    const link = document.createElement("link");
    const isModule = !address.endsWith(".min.js");
    Object.assign(link, isModule ? { rel: "modulepreload" } : { rel: "preload", as: "script" });
    link.href = new URL(address, document.baseURI).href;
    document.head.append(link);
  }
}

// On a phone the pages are a menu, which a second tap shuts, or a tap on a page, or Escape.
function unfold(menu, open) {
  menu.setAttribute("aria-expanded", open);
  const links = document.querySelector(".st-key-links");
  links?.style.setProperty("--twolayer-background", getComputedStyle(menu).backgroundColor);
  links?.classList.toggle("twolayer-open", open);
}

async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  // Without TLS there is no clipboard: the old way.
  const area = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// The address in the language that is read, which here may be the browser's own.
function link(language, starts) {
  const address = new URL(location.href);
  address.searchParams.set("lang", language);
  address.searchParams.delete("run");
  if (starts) address.searchParams.set("run", "1");
  return address.href;
}

// A click copies the address; the choice that then shows copies it again.
function prepareCopying(bar, data) {
  const [button, choice] = bar.querySelectorAll(".twolayer-copy, .twolayer-choice");
  const starts = choice.querySelector("input");
  button.textContent = data.copy;
  choice.querySelector("span").textContent = data.starts;
  const now = async () => {
    await copy(link(data.language, starts.checked));
    button.textContent = data.copied;
    setTimeout(() => { button.textContent = data.copy; }, THANKS_MS);
  };
  starts.onchange = now;
  button.onclick = () => {
    choice.hidden = !data.may_start;
    starts.checked = data.may_start && new URL(location.href).searchParams.get("run") === "1";
    return now();
  };
  return choice;
}

function askForTheVisitor({ data, setTriggerValue }) {
  const before = sessionStorage.getItem(NAME);
  clearTimeout(timer);
  if (!before || before === data.token || before === data.unknown || tries >= MOST_TRIES) {
    sessionStorage.setItem(NAME, data.token);
    return;
  }
  const ask = () => {
    tries += 1;
    setTriggerValue("returned", before);
    timer = setTimeout(ask, AGAIN_MS);
  };
  if (tries === 0) ask();
  else timer = setTimeout(ask, AGAIN_MS);
}

export default function (component) {
  const { data, parentElement: bar } = component;
  fetchSoon(data.scripts);
  const menu = bar.querySelector(".twolayer-menu");
  menu.textContent = `☰ ${data.menu}`;
  menu.onclick = () => unfold(menu, menu.getAttribute("aria-expanded") !== "true");
  const choice = prepareCopying(bar, data);
  // Words that Streamlit has in English only, or not at all: frame.css shows them.
  for (const word of ["settings", "upload"]) {
    document.documentElement.style.setProperty(`--twolayer-${word}`, JSON.stringify(data[word]));
  }
  const shut = (target) => {
    if (target !== menu) unfold(menu, false);
    if (!bar.contains(target)) choice.hidden = true;
  };
  document.onclick = (event) => shut(event.target);
  document.onkeydown = (event) => { if (event.key === "Escape") shut(null); };
  askForTheVisitor(component);
}
