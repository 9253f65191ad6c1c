// The OpenAPI document as a page.
const make = (name, text = "", ...children) => {
  const element = document.createElement(name);
  if (text) element.textContent = text;
  element.append(...children);
  return element;
};

const row = (cell, ...texts) => make("tr", "", ...texts.map((text) => make(cell, text)));

function kind(schema) {
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const) return String(schema.const);
  if (schema.type === "array") return `list of ${kind(schema.items ?? {})}`;
  return [schema.type ?? "any", schema.format].flat().filter(Boolean).join(", ");
}

function fields(schema) {
  const body = Object.entries(schema.properties ?? {}).map(([name, field]) =>
    row("td", name, (schema.required ?? []).includes(name) ? "required" : "", kind(field), field.description ?? ""));
  return make("table", "", make("thead", "", row("th", "field", "", "kind", "")), make("tbody", "", ...body));
}

function operation(path, method, about) {
  const section = make("section", "", make("h2", `${method.toUpperCase()} ${path}`), make("p", about.description || about.summary));
  section.className = "panel";
  for (const [media, content] of Object.entries(about.requestBody?.content ?? {})) {
    section.append(make("p", media), fields(content.schema));
  }
  const answers = Object.entries(about.responses ?? {}).map(([status, answer]) =>
    row("td", status, answer.description, Object.keys(answer.content ?? {}).join(", ")));
  section.append(make("table", "", make("thead", "", row("th", "status", "", "as")), make("tbody", "", ...answers)));
  return section;
}

const document_ = await (await fetch("/openapi.json")).json();
const main = document.getElementById("paths");
main.replaceChildren(make("p", document_.info.description));
for (const [path, operations] of Object.entries(document_.paths)) {
  for (const [method, about] of Object.entries(operations)) main.append(operation(path, method, about));
}
