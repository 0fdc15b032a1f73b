// The API as the pages see it. The key stays in this tab: it is in no URL, and gone when the tab is.

const KEPT = ['project', 'key', 'site'];

export const session = {
  get(name) { return sessionStorage.getItem(name) ?? ''; },
  begin(project, key, site) { [project, key, site].forEach((value, n) => sessionStorage.setItem(KEPT[n], value)); },
  end() { KEPT.forEach(name => sessionStorage.removeItem(name)); },
};

// Answers are read as text first: their decimals have more digits than a JavaScript number keeps.
const exact = text => JSON.parse(text.replace(
  /("(?:[^"\\]|\\.)*")|(-?\d+\.\d+(?:[eE][+-]?\d+)?)/g, (_, string, number) => string ?? `"${number}"`));

export async function ask(method, path, body, key = session.get('key')) {
  const answer = await fetch(path, {
    method,
    headers: { Authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await answer.text();
  const found = text ? exact(text) : {};
  if (!answer.ok) {
    const { message = answer.statusText, field } = found.error ?? {};
    throw new Error(field ? `${field}: ${message}` : message);
  }
  return found;
}

export const report = (name, parameters) =>
  ask('GET', `/v1/projects/${session.get('project')}/reports/${name}?${new URLSearchParams(parameters)}`);
export const goals = (method, id = '', body) =>
  ask(method, `/api/v1/analytics/sites/${session.get('site')}/goals${id && `/${id}`}`, body);
