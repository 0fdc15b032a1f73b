// The console: a page for what follows # in the address. It has no state of its own but the key in this tab.

import { ask, session } from '/console/api.js';
import { element, form } from '/console/elements.js';
import * as pages from '/console/pages.js';

const PAGES = {
  conversions: pages.conversions, goals: pages.goalsPage, funnels: pages.funnels, retention: pages.retention,
  links: pages.links, 'link-goals': pages.linkGoals };
const main = document.querySelector('main');
const nav = document.querySelector('nav');
let shown = 0;

const signIn = () => [element('h2', {}, 'Sign in'), form('Sign in', {
  project: { label: 'Project id', required: true, autocomplete: 'username' },
  key: { label: 'Secret key', type: 'password', required: true, autocomplete: 'current-password' },
}, async ({ project, key }) => {
  const { site_key: site } = await ask('GET', `/v1/projects/${encodeURIComponent(project)}`, undefined, key);
  session.begin(project, key, site);
  show();
})];

async function show() {
  const turn = ++shown;
  const [named, query] = location.hash.slice(1).split('?');
  const signedIn = Boolean(session.get('key'));
  const name = !signedIn ? 'sign-in' : Object.hasOwn(PAGES, named) ? named : 'conversions';
  nav.hidden = !signedIn;
  let content;
  try {
    content = signedIn ? await PAGES[name](Object.fromEntries(new URLSearchParams(query))) : signIn();
  } catch (error) {
    content = [element('p', { className: 'error', role: 'alert' }, error.message)];
  }
  if (turn !== shown) return; // another page was asked for meanwhile
  main.replaceChildren(...content.filter(Boolean));
  main.dataset.page = name;
}

document.querySelector('#leave').addEventListener('click', () => { session.end(); show(); });
addEventListener('hashchange', show);
show();
