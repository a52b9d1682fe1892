type Json = { readonly [key: string]: unknown };

/** Text into HTML. Everything on the page goes through it, even though it all comes from our own tables. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

/** `code` in back ticks, as in Markdown, is the only markup that descriptions have. */
function prose(text: string): string {
  return escapeHtml(text).replace(/`([^`]*)`/g, '<code>$1</code>');
}

const object = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');

/** The reference as one page, rendered from the OpenAPI description: no script, and nothing from another host. */
export function docsPage(description: Json): string {
  const info = object(description['info']);
  const operations = Object.entries(object(description['paths'])).flatMap(([path, methods]) =>
    Object.entries(object(methods)).map(([method, operation]) => ({ path, method, operation: object(operation) })),
  );
  const tags = list(description['tags']).map(object);
  const schemas = Object.entries(object(object(description['components'])['schemas']));
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => list(operation['tags']).includes(tag['name']));
    return `<section><h2>${prose(text(tag['description']))}</h2>${own.map(renderOperation).join('')}</section>`;
  });
  const links = operations.map(
    ({ path, method, operation }) =>
      `<li><a href="#${escapeHtml(text(operation['operationId']))}"><b class="${method}">${method.toUpperCase()}</b> ${escapeHtml(path)}</a></li>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Gatehouse API ${escapeHtml(text(info['version']))}</title>
<link rel="icon" href="/mark.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/docs.css">
</head>
<body class="docs">
<nav aria-label="Routes"><a class="home" href="/">Gatehouse</a><ul>${links.join('')}</ul><a href="#schemas">Schemas</a></nav>
<main>
<h1>Gatehouse API <small>${escapeHtml(text(info['version']))}</small></h1>
<p>${prose(text(info['description']))} The same as data: <a href="/openapi.json">openapi.json</a>.</p>
${sections.join('\n')}
<section id="schemas"><h2>Schemas</h2>${schemas.map(([name, schema]) => renderSchema(name, object(schema))).join('')}</section>
</main>
</body>
</html>
`;
}

function renderOperation({ path, method, operation }: { readonly path: string; readonly method: string; readonly operation: Json }): string {
  const keys = list(operation['security']).flatMap((each) => Object.keys(object(each)));
  const parameters = list(operation['parameters']).map(object);
  const body = schemaOfContent(object(operation['requestBody']));
  const responses = Object.entries(object(operation['responses'])).map(
    ([status, response]) =>
      `<tr><th scope="row">${escapeHtml(status)}</th><td>${schemaOfContent(object(response))}</td><td>${prose(text(object(response)['description']))}</td></tr>`,
  );
  return `<article id="${escapeHtml(text(operation['operationId']))}">
<h3><b class="${method}">${method.toUpperCase()}</b> <code>${escapeHtml(path)}</code></h3>
<p>${prose(text(operation['summary']))}</p>
<p class="key">Needs: ${keys.length === 0 ? 'nothing' : keys.map((key) => `<code>${escapeHtml(key)}</code>`).join(' or ')}</p>
${parameters.length === 0 ? '' : table(parameters.map((parameter) => row(text(parameter['name']), parameter['schema'], parameter['required'] === true, text(parameter['in']))))}
${body === '' ? '' : `<p>Body: ${body}</p>`}
<table>${responses.join('')}</table>
</article>`;
}

function renderSchema(name: string, schema: Json): string {
  const properties = Object.entries(object(schema['properties']));
  const required = list(schema['required']);
  const content =
    properties.length > 0
      ? table(properties.map(([property, value]) => row(property, value, required.includes(property), '')))
      : `<p>${typeOf(schema)}</p>`;
  return `<article id="schema-${escapeHtml(name)}"><h3><code>${escapeHtml(name)}</code></h3>${content}</article>`;
}

const table = (rows: readonly string[]): string => `<table>${rows.join('')}</table>`;

function row(name: string, schema: unknown, required: boolean, place: string): string {
  const notes = [place, required ? 'required' : '', ...limitsOf(object(schema))].filter((note) => note !== '').map(escapeHtml);
  return `<tr><th scope="row"><code>${escapeHtml(name)}</code></th><td>${typeOf(schema)}</td><td>${notes.join(', ')}</td></tr>`;
}

const LIMITS = ['minimum', 'maximum', 'minLength', 'maxLength', 'minItems', 'maxItems', 'pattern'] as const;
function limitsOf(schema: Json): string[] {
  return LIMITS.filter((limit) => schema[limit] !== undefined).map((limit) => `${limit} ${String(schema[limit])}`);
}

/** The type in words; a named schema as a link. */
function typeOf(value: unknown): string {
  const schema = object(value);
  const ref = text(schema['$ref']).replace('#/components/schemas/', '');
  if (ref !== '') return `<a href="#schema-${escapeHtml(ref)}">${escapeHtml(ref)}</a>`;
  const choices = list(schema['anyOf']);
  if (choices.length > 0) return choices.map(typeOf).join(' or ');
  if (schema['const'] !== undefined) return `<code>${escapeHtml(JSON.stringify(schema['const']))}</code>`;
  if (Array.isArray(schema['enum'])) return schema['enum'].map((choice) => `<code>${escapeHtml(String(choice))}</code>`).join(' ');
  if (schema['type'] === 'array') return `list of ${typeOf(schema['items'])}`;
  const properties = Object.keys(object(schema['properties']));
  if (properties.length > 0) return `object of ${properties.map((name) => `<code>${escapeHtml(name)}</code>`).join(', ')}`;
  return escapeHtml(text(schema['type']) || 'any');
}

function schemaOfContent(owner: Json): string {
  const [first] = Object.entries(object(owner['content']));
  if (first === undefined) return '';
  const [contentType, media] = first;
  const schema = object(media)['schema'];
  return text(object(schema)['$ref']) === '' && object(schema)['type'] === 'string' ? `<code>${escapeHtml(contentType)}</code>` : typeOf(schema);
}
