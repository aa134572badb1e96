// The page's address holds what is looked at, so that a view can be kept and sent.

/** What the address says now. */
export const given = () => new URLSearchParams(location.search);

/** Have these values, by name, in the address; what has none is left out. */
export function keep(values) {
  const own = given();
  for (const [name, some] of Object.entries(values)) {
    own.delete(name);
    some.filter(Boolean).forEach((value) => own.append(name, value));
  }
  history.replaceState(null, "", `${location.pathname}${own.size ? `?${own}` : ""}`);
}

/** A select whose choice stands in the address under `name`; `changed()` is told of another. */
export function choice(select, name, changed) {
  const first = select.options[0].value;
  const wanted = given().get(name);
  if ([...select.options].some((option) => option.value === wanted)) select.value = wanted;
  select.addEventListener("change", () => {
    keep({ [name]: select.value === first ? [] : [select.value] });
    changed();
  });
}
