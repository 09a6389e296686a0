// Streamlit sends a component's code along with each change of its data: this is all of it. What draws
// is fetched once.
const drawing = import(new URL("app/static/$drawing", document.baseURI).href);
export default (component) => {
  let end;
  drawing.then((module) => { end = module.default(component); },
    () => component.setTriggerValue("failed", true));
  return () => end?.();
};
