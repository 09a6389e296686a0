const NAME = "twolayer-visitor";
const AGAIN_MS = 4000;
const MOST_TRIES = 30;
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
const MAIN_ACTION = '[data-testid="stMain"] [data-testid="stBaseButton-primary"]';
// On a phone the pages are a menu, which a second tap shuts, or a tap on a page, or Escape.
function unfold(menu, open) {
  menu.setAttribute("aria-expanded", open);
  const links = document.querySelector(".st-key-links");
  links?.style.setProperty("--twolayer-background", getComputedStyle(menu).backgroundColor);
  links?.classList.toggle("twolayer-open", open);
}
export default function ({ data, parentElement, setTriggerValue }) {
  fetchSoon(data.scripts);
  const skip = parentElement.querySelector(".twolayer-skip");
  skip.textContent = data.skip;
  const menu = parentElement.querySelector(".twolayer-menu");
  menu.textContent = `☰ ${data.menu}`;
  menu.onclick = () => unfold(menu, menu.getAttribute("aria-expanded") !== "true");
  // Words that Streamlit has in English only, or not at all: frame.css shows them.
  for (const word of ["settings", "upload"]) {
    document.documentElement.style.setProperty(`--twolayer-${word}`, JSON.stringify(data[word]));
  }
  document.onclick = (event) => { if (event.target !== menu) unfold(menu, false); };
  document.onkeydown = (event) => { if (event.key === "Escape") unfold(menu, false); };
  skip.onclick = () => document.querySelector(MAIN_ACTION)?.focus();
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
