// Makes elements. Whatever comes from a suite goes in as text: nothing that somebody stored becomes markup.
export function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key in made && key !== "role") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function clockTime(text) {
  return new Date(text).toLocaleTimeString([], { hour12: false });
}

// Names and values in two columns; what has no value is left out.
export function facts(pairs) {
  return element("table", {}, element("tbody", {}, ...pairs.filter(([, value]) => value).map(([name, value]) =>
    element("tr", {}, element("th", { scope: "row" }, name), element("td", { className: "code" }, value)))));
}
