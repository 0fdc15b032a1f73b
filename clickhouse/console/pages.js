// One function a page: it gets what follows its name in the address, and returns what to show.

import { ask, goals, report } from '/console/api.js';
import { button, element, form, money, percent, table } from '/console/elements.js';

const PERIODS = ['7d', '30d', '12mo'];
const again = () => dispatchEvent(new Event('hashchange'));
const go = hash => { if (location.hash === hash) again(); else location.hash = hash; };
const heading = text => element('h2', {}, text);
const periodForm = (page, given, more = {}) => form('Show',
  { period: { label: 'Period', options: PERIODS, value: given.period ?? '30d' }, ...more },
  asked => go(`#${page}?${new URLSearchParams(asked)}`));

export async function conversions(given) {
  const asked = { period: given.period ?? '30d', model: given.model ?? 'last_touch' };
  const [bySource, byEvent, byGoal] = await Promise.all([
    report('sources', asked), report('conversions', { period: asked.period }), report('goals', { period: asked.period })]);
  const models = ['last_touch', 'first_touch', 'linear', 'position', 'time_decay'];
  const shown = {
    Conversions: row => row.conversions, 'Unique converters': row => row.unique_converters,
    Revenue: row => money(row.revenue), 'Conversion rate': row => percent(row.rate?.value) };
  const numbers = Object.keys(shown);
  return [heading('Conversions'),
    periodForm('conversions', asked, { model: { label: 'Attribution', options: models, value: asked.model } }),
    element('p', {}, `${bySource.totals.conversions} conversions, ${money(bySource.totals.revenue)}`),
    heading('By source'),
    table(bySource.rows, { Source: row => row.source, Medium: row => row.medium, Campaign: row => row.campaign, ...shown }, numbers),
    heading('By event'), table(byEvent.rows, { Event: row => row.name, ...shown }, numbers),
    heading('By goal'), table(byGoal.rows, { Goal: row => row.name, ...shown }, numbers)];
}

const GOAL = (goal = {}) => ({
  name: { label: 'Name', required: true, value: goal.name ?? '' },
  type: { label: 'Type', options: ['pageview', 'event', 'custom', 'event_name', 'event_type', 'conversion'], value: goal.type },
  match_type: { label: 'Match', options: ['exact', 'contains', 'regex'], value: goal.match_type },
  match_value: { label: 'Value', value: goal.match_value ?? '' },
  currency: { label: 'Currency', value: goal.currency ?? '', maxLength: 3 },
});

export async function goalsPage(given) {
  const { data } = await goals('GET');
  const edited = data.find(goal => goal.id === given.edit);
  const save = async body => { await goals(edited ? 'PATCH' : 'POST', edited?.id, body); go('#goals'); };
  return [heading('Goals'),
    element('p', {}, 'A goal counts what matches it, also what was there before it.'),
    table(data, {
      Name: goal => goal.name, Type: goal => goal.type, Match: goal => goal.match_type, Value: goal => goal.match_value,
      Currency: goal => goal.currency,
      '': goal => [element('a', { href: `#goals?edit=${goal.id}` }, 'Edit'), ' ',
        button('Delete', async () => { await goals('DELETE', goal.id); again(); })] }),
    heading(edited ? `Edit ${edited.name}` : 'New goal'),
    form(edited ? 'Save Goal' : 'Create Goal', GOAL(edited), save)];
}

export async function funnels(given) {
  const steps = ['first', 'second', 'third', 'fourth'].map(name => given[name]).filter(Boolean);
  const asked = form('Show', {
    ...Object.fromEntries(['first', 'second', 'third', 'fourth'].map((name, n) => [name, {
      label: `Step ${n + 1}`, value: given[name] ?? '', required: n < 2, placeholder: 'pageview:exact:/pricing, or conversion' }])),
    window: { label: 'Window', value: given.window ?? '7d' },
    period: { label: 'Period', options: PERIODS, value: given.period ?? '30d' },
  }, fields => go(`#funnels?${new URLSearchParams(fields)}`));
  if (steps.length < 2) return [heading('Funnels'), asked];
  const parameters = [...steps.map(step => ['step', step]), ['window', given.window ?? '7d'], ['period', given.period ?? '30d']];
  const found = await report('funnel', parameters);
  const source = row => [row.source, row.campaign].filter(Boolean).join(' / ');
  return [heading('Funnels'), asked,
    table(found.steps, {
      Step: row => row.step.name ?? (row.step.match_value ? `${row.step.type} ${row.step.match_value}` : row.step.type),
      Persons: row => row.persons, 'Dropped off': row => row.dropped_off, 'Of the first': row => percent(row.rate_from_first),
      'Of the one before': row => percent(row.rate_from_previous) },
    ['Persons', 'Dropped off', 'Of the first', 'Of the one before']),
    heading('By source'),
    table(found.sources, { Source: source, Persons: row => row.steps.map(step => step.persons).join(' → ') }, ['Persons'])];
}

export async function retention(given) {
  const { cohorts } = await report('retention', { period: given.period ?? '12mo', weeks: given.weeks ?? '8' });
  const widest = Math.max(0, ...cohorts.map(cohort => cohort.weeks.length));
  const weeks = Object.fromEntries(Array.from({ length: widest }, (_, n) => [
    `Week ${n}`, cohort => cohort.weeks[n] && percent(cohort.weeks[n].rate)]));
  return [heading('Retention'), periodForm('retention', { period: given.period ?? '12mo' }),
    table(cohorts, { 'Began in the week of': cohort => cohort.begins, Persons: cohort => cohort.persons, ...weeks },
      ['Persons', ...Object.keys(weeks)])];
}

export async function links(given) {
  const { links: found } = await ask('GET', '/api/v1/links');
  const save = async fields => { await ask('POST', '/api/v1/links', fields); again(); };
  const fields = Object.fromEntries(['destination', 'name', 'slug', 'utm_source', 'utm_medium', 'utm_campaign'].map(
    name => [name, { label: name.replace('_', ' '), required: name === 'destination' }]));
  const chosen = found.find(link => String(link.id) === given.link);
  return [heading('Links'),
    table(found, {
      Name: link => link.name || link.slug, Address: link => element('a', { href: link.url, rel: 'noreferrer' }, link.url),
      Destination: link => link.destination,
      '': link => element('a', { href: `#links?link=${link.id}` }, 'Analytics') }),
    chosen ? await analytics(chosen, given) : null,
    heading('New link'), form('Create Link', fields, save)];
}

async function analytics(link, given) {
  const days = given.days ?? '30';
  const found = await ask('GET', `/api/v1/analytics/conversions?link_id=${link.id}&days=${days}`);
  const convert = found.time_to_convert === null ? '' : `${found.time_to_convert} s`;
  const figures = [
    ['Clicks', found.clicks], ['Conversions', found.conversions], ['Conversion Rate', found.conversion_rate && `${found.conversion_rate} %`],
    ['Total Value', found.total_value && `${found.total_value} ${found.currency ?? ''}`], ['Average Value', found.average_value],
    ['Time to Convert', convert]];
  return element('section', {}, heading(`Analytics of ${link.name || link.slug}, ${days} days`),
    table(figures, { Metric: row => row[0], Value: row => row[1] ?? '' }, ['Value']),
    element('a', { href: '#link-goals' }, 'Manage Goals'));
}

export async function linkGoals() {
  const { goals: found } = await ask('GET', '/api/v1/conversions/goals');
  const secrets = element('div', { className: 'once', hidden: true });
  const save = async fields => {
    const { goal } = await ask('POST', '/api/v1/conversions/goals', { goal: fields });
    secrets.hidden = false;
    secrets.replaceChildren('Shown once. Postbacks go to ', element('code', {}, goal.tracking_url),
      goal.signing_secret ? ` and notifications are signed with ${goal.signing_secret}` : '');
  };
  return [heading('Conversion Goals'),
    table(found, {
      Name: goal => goal.name, 'Goal Type': goal => goal.goal_type, Value: goal => goal.value, Currency: goal => goal.currency,
      'Window (days)': goal => goal.window_days, 'Postback URL': goal => goal.postback_url,
      '': goal => button('Delete', async () => { await ask('DELETE', `/api/v1/conversions/goals/${goal.id}`); again(); }) }),
    secrets, heading('New goal'),
    form('Create Conversion Goal', {
      name: { label: 'Name', required: true },
      goal_type: { label: 'Goal Type', options: ['purchase', 'signup', 'download', 'custom'] },
      value: { label: 'Value', inputMode: 'decimal' }, currency: { label: 'Currency', maxLength: 3 },
      postback_url: { label: 'Postback URL', type: 'url' } }, save)];
}
