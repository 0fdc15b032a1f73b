/*! Headwater tracker, Apache-2.0 */
/**
 * What a page calls: `oa(command, ...)` and `ka.goal(name, properties)`.
 *
 * 1. Nothing here throws into the page, and nothing here is waited for by it.
 * 2. Calls made before this script has loaded stand in `oa.q`. They follow the pageview of the page they were made on.
 * 3. `revenue` and `currency` of a call are fields of the event; everything else it names is a property.
 * 4. UTM parameters and click ids are not read here: every event carries its page's address and referrer, and the
 *    stages read them there, by the same rules for all clients.
 */

import { address, onNavigation } from "./navigation";
import { Outbox } from "./outbox";
import { newId, Visitor } from "./visitor";

type Properties = Record<string, unknown>;
type Oa = ((...call: unknown[]) => void) & { q?: ArrayLike<unknown>[]; loaded?: boolean };

declare global {
  interface Window {
    oa?: Oa;
    ka?: { goal?: (name: unknown, properties?: unknown) => void };
  }
}

/** Beyond this ingest refuses an address; what counts, host, path and campaign, stands before it. */
const URL_MAX = 8192;

/** The properties that JSON can hold, as they are now: the page may change its object later. */
function snapshot(properties: unknown): Properties {
  const kept: Properties = {};
  for (const name of typeof properties === "object" ? Object.keys(properties || {}) : []) {
    try {
      kept[name] = JSON.parse(JSON.stringify((properties as Properties)[name]));
    } catch {
      // A function, a cycle, a BigInt: the event is worth more than this property.
    }
  }
  return kept;
}

/** The browser's storage; null where the visitor or a sandbox forbids it. */
function firstPartyStorage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}

function objects(): boolean {
  const { doNotTrack, globalPrivacyControl } = navigator as Navigator & { globalPrivacyControl?: boolean };
  return doNotTrack === "1" || globalPrivacyControl === true;
}

function start(script: HTMLScriptElement, queued: ArrayLike<unknown>[]): Oa {
  const { project, key, pageviews, dnt, cookieless } = script.dataset;
  const objected = dnt !== undefined && objects();
  if (objected && dnt !== "cookieless") {
    return () => {};
  }
  if (!project || !key) {
    console.warn("oa.js: data-project and data-key are required");
    return () => {};
  }
  const endpoint = new URL(`/v1/projects/${encodeURIComponent(project)}/events`, script.src);
  endpoint.searchParams.set("key", key);
  const storage = cookieless !== undefined || objected ? null : firstPartyStorage();
  const visitor = new Visitor(storage, `oa:${project}`);
  const outbox = new Outbox(storage, `oa:${project}:`, endpoint.href);
  let referrer = document.referrer;
  let last = 0;

  function send(eventType: string, name?: unknown, properties?: unknown): void {
    // Calls of one millisecond keep their order.
    last = Math.max(Date.now(), last + 1);
    const { revenue, currency, ...others } = snapshot(properties);
    outbox.add({
      event_id: newId(),
      event_type: eventType,
      event_name: name === undefined ? name : String(name),
      ...visitor.identity(last),
      url: address().slice(0, URL_MAX),
      referrer: referrer.slice(0, URL_MAX),
      timestamp: last,
      revenue,
      currency,
      properties: others,
    });
  }

  function call(command: unknown, ...rest: unknown[]): void {
    switch (command) {
      case "conversion":
      case "event":
        return send(command, ...rest);
      case "goal":
        return send("custom", ...rest);
      case "pageview":
        return send(command, undefined, ...rest);
      case "identify":
        if (visitor.identify(rest[0])) {
          send(command);
        }
    }
  }

  function safely(...made: unknown[]): void {
    try {
      call(made[0], ...made.slice(1));
    } catch {
      // Rule 1.
    }
  }

  function begin(): void {
    if (pageviews !== "off") {
      safely("pageview");
    }
    for (const made of queued) {
      safely(...Array.from(made));
    }
  }

  if (pageviews !== "off" && pageviews !== "load") {
    onNavigation((from) => {
      referrer = from;
      safely("pageview");
    });
  }
  // A page that is prerendered may never be seen.
  if ((document as Document & { prerendering?: boolean }).prerendering) {
    document.addEventListener("prerenderingchange", begin, { once: true });
  } else {
    begin();
  }
  return safely;
}

const before = window.oa;
const script = (document.currentScript || document.querySelector("script[data-project][data-key]")) as HTMLScriptElement;
if (script && !(before && before.loaded)) {
  try {
    const oa = start(script, (before && before.q) || []);
    oa.loaded = true;
    window.oa = oa;
    window.ka = window.ka || {};
    window.ka.goal = (name, properties) => oa("goal", name, properties);
  } catch {
    // Rule 1.
  }
}
