/**
 * What has still to reach the server, so that every event arrives, and counts once.
 *
 * 1. An event is kept until the server has answered for it. Only an answer ends it: accepted, or refused for good. On
 *    no answer, 408, 429 or 5xx it is sent again, later and later; at once when the browser is online again.
 * 2. It is sent again under the id it was given when it was made, so ingest takes it for the same event.
 * 3. Each event is a storage entry of its own: tabs share the storage, and no tab can overwrite another's events.
 *    What a page could not send is sent by the next page of the site.
 * 4. Requests are `fetch` with `keepalive`, which outlive the page and do have an answer. When the page is hidden or
 *    closed, what is not under way leaves by `sendBeacon`, which has none: so it stays, and is sent again (rule 2).
 * 5. At most MAX events wait; beyond that the oldest one goes, conversions last.
 */

const MAX = 200;
/** Characters of a request: at most three bytes each, and browsers let 64 KiB outlive a page. */
const BATCH_CHARS = 20_000;
const FIRST_RETRY_MS = 1000;
const ANSWER_LIMIT_MS = 30_000;

type Event = Record<string, unknown>;

interface Entry {
  id: string;
  event: Event;
  text: string;
  /** It left in a request that outlives the page. */
  left?: boolean;
  /** Made by this page. */
  own?: boolean;
}

interface Result {
  index: number;
  error?: { code: string };
}

export class Outbox {
  private waiting: Entry[] = [];
  private timer: number | undefined;
  private sending = false;
  private retries = 0;

  constructor(
    private readonly storage: Storage | null,
    private readonly prefix: string,
    private readonly endpoint: string,
  ) {
    this.recover();
    addEventListener("online", () => this.again());
    addEventListener("pagehide", () => this.leave());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.leave() : this.again()));
    this.schedule(0);
  }

  add(event: Event): void {
    this.keep({ id: event.event_id as string, event, text: JSON.stringify(event), own: true });
    this.schedule(0);
  }

  private recover(): void {
    const { storage, prefix } = this;
    const found: Entry[] = [];
    for (const name of storage ? Object.keys(storage) : []) {
      if (name.startsWith(prefix)) {
        const text = storage!.getItem(name)!;
        try {
          found.push({ id: name.slice(prefix.length), event: JSON.parse(text), text });
        } catch {
          storage!.removeItem(name);
        }
      }
    }
    found.sort((a, b) => (a.event.timestamp as number) - (b.event.timestamp as number));
    found.forEach((entry) => this.keep(entry));
  }

  private keep(entry: Entry): void {
    if (this.waiting.push(entry) > MAX) {
      const oldest = this.waiting.find(({ event }) => event.event_type !== "conversion");
      this.forget([oldest || this.waiting[0]!]);
    }
    try {
      this.storage!.setItem(this.prefix + entry.id, entry.text);
    } catch {
      // Full or forbidden: then it lives as long as its page.
    }
  }

  private forget(entries: Entry[]): void {
    this.waiting = this.waiting.filter((entry) => !entries.includes(entry));
    for (const { id } of entries) {
      try {
        this.storage!.removeItem(this.prefix + id);
      } catch {
        // It was not there.
      }
    }
  }

  private schedule(delay: number): void {
    if (this.timer === undefined && !this.sending) {
      this.timer = setTimeout(() => this.flush(), delay);
    }
  }

  private again(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    this.retries = 0;
    this.schedule(0);
  }

  private async flush(): Promise<void> {
    this.timer = undefined;
    const batch = cut(this.waiting);
    if (!batch.length) {
      return;
    }
    // A browser that refused a request which outlives the page, because others fill its 64 KiB, takes a plain one.
    const keepalive = !this.retries && characters(batch) <= BATCH_CHARS;
    batch.forEach((entry) => (entry.left = keepalive));
    this.sending = true;
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), ANSWER_LIMIT_MS);
    let delay = 0;
    try {
      const answer = await fetch(this.endpoint, {
        method: "POST",
        body: body(batch),
        headers: { "Content-Type": "text/plain" }, // needs no preflight
        credentials: "omit",
        keepalive,
        signal: limit.signal,
      });
      const { status } = answer;
      if (status >= 500 || status === 429 || status === 408) {
        delay = Math.max(this.pause(), Number(answer.headers.get("Retry-After")) * 1000 || 0);
      } else {
        this.settle(batch, await answer.json().catch(() => ({})));
      }
    } catch {
      delay = this.pause();
    }
    clearTimeout(timer);
    this.sending = false;
    if (delay) {
      batch.forEach((entry) => (entry.left = false));
    } else {
      this.retries = 0;
    }
    this.schedule(delay);
  }

  private pause(): number {
    return FIRST_RETRY_MS * 2 ** this.retries++;
  }

  /** The batch was answered for: accepted or refused, none of it would be answered otherwise another time. */
  private settle(batch: Entry[], { results = [] }: { results?: Result[] }): void {
    // But for this: the device's clock is more than a week slow, and the event is of just now.
    const misdated = results
      .filter(({ error }) => error && error.code === "timestamp_too_old")
      .map(({ index }) => batch[index]!)
      .filter(({ own, event }) => own && event.timestamp);
    this.forget(batch);
    for (const { event } of misdated) {
      delete event.timestamp;
      this.add(event);
    }
  }

  private leave(): void {
    let rest = this.waiting.filter((entry) => !entry.left);
    while (rest.length) {
      const batch = cut(rest);
      if (!navigator.sendBeacon(this.endpoint, body(batch))) {
        return;
      }
      batch.forEach((entry) => (entry.left = true));
      rest = rest.slice(batch.length);
    }
  }
}

/** The first entries, as many as fit in a request, and at least one. */
function cut(entries: Entry[]): Entry[] {
  let count = 1;
  while (count < entries.length && characters(entries.slice(0, count + 1)) <= BATCH_CHARS) {
    count++;
  }
  return entries.slice(0, count);
}

function body(entries: Entry[]): string {
  return `[${entries.map(({ text }) => text).join()}]`;
}

function characters(entries: Entry[]): number {
  return body(entries).length;
}
