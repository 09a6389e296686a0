// Streamlit sends a component's code along with each change of its data: this is all of it. What draws
// is fetched once.
const drawing = import(new URL("app/static/$drawing", document.baseURI).href);
export default (component) => {
  let end;
  let isOver = false; // by newer data, perhaps before the code has come: then these must not be drawn after those
  drawing.then((module) => { if (!isOver) end = module.default(component); },
    () => component.setTriggerValue("failed", true));
  return () => { isOver = true; end?.(); };
};
