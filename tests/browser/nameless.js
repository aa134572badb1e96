// Controls without a label, drawings without a description.
() => {
  const named = (node) =>
    node.ariaLabel || node.title || node.labels?.length || node.textContent.trim();
  const wanted = "button, input:not([hidden]), select, svg:not([aria-hidden=true]), [role=region]";
  return [...document.querySelectorAll(wanted)]
    .filter((node) => node.checkVisibility())
    .filter((node) => !named(node) && !node.getAttribute("aria-label") && !node.getAttribute("aria-labelledby"))
    .map((node) => node.outerHTML.slice(0, 100));
};
