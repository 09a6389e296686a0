export default function ({ data, parentElement, setTriggerValue }) {
  const place = parentElement.querySelector("figure");
  if (place.innerHTML !== data) {
    const focused = place.querySelector(":focus")?.dataset.step;
    place.innerHTML = data;
    if (focused) place.querySelector(`[data-step=${focused}]`).focus();
  }
  const go = (event) => {
    const step = event.target.closest("[data-step]");
    if (!step || (event.key && event.key !== "Enter" && event.key !== " ")) return;
    event.preventDefault();
    setTriggerValue("chosen", step.dataset.step);
  };
  place.onclick = go;
  place.onkeydown = go;
}
