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
export default function ({ data, parentElement, setTriggerValue }) {
  fetchSoon(data.scripts);
  const skip = parentElement.querySelector(".twolayer-skip");
  skip.textContent = data.skip;
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
