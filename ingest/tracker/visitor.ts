/**
 * Who the visitor is: an anonymous id, a session id and, once the page has said so, a user id.
 *
 * 1. They are kept in first-party storage, in one entry for each project, shared by the site's tabs.
 * 2. A session ends after 30 minutes without an event, and after a day in any case.
 * 3. Where nothing may be kept there is neither anonymous id nor session id: an id that is new on every page would
 *    make every page a visitor. The server then tells visitors apart by its own keyed fingerprint.
 */

const IDLE_MS = 30 * 60_000;
const LONGEST_MS = 24 * 60 * 60_000;
/** Ingest refuses longer ids. */
const ID_MAX = 256;

interface Kept {
  anonymous?: string;
  user?: string | undefined;
  session?: string;
  began?: number;
  seen?: number;
}

export interface Identity {
  anonymous_id?: string | undefined;
  session_id?: string | undefined;
  user_id?: string | undefined;
}

/** A random UUID (version 4). `randomUUID` is missing on pages without HTTPS. */
export function newId(): string {
  return crypto.randomUUID
    ? crypto.randomUUID()
    : "10000000-1000-4000-8000-100000000000".replace(/[018]/g, (digit) =>
        (+digit ^ (crypto.getRandomValues(new Uint8Array(1))[0]! & (15 >> (+digit / 4)))).toString(16),
      );
}

export class Visitor {
  private user: string | undefined;

  constructor(
    private storage: Storage | null,
    private readonly entry: string,
  ) {
    this.user = this.read().user;
  }

  /** What an event at this time (Unix ms) says of its visitor. It keeps the session going, or begins one. */
  identity(now: number): Identity {
    const kept = this.read();
    if (!kept.session || Math.abs(now - kept.seen!) > IDLE_MS || now - kept.began! > LONGEST_MS) {
      kept.session = newId();
      kept.began = now;
    }
    kept.anonymous = kept.anonymous || newId();
    kept.seen = now;
    return this.write(kept)
      ? { anonymous_id: kept.anonymous, session_id: kept.session, user_id: kept.user }
      : { user_id: this.user };
  }

  /** Remember, or without an id forget, the user. Returns whether there is one, and a new one. */
  identify(id: unknown): boolean {
    // An object's text is the same for all visitors, and would make one of them.
    const user = id && (typeof id === "string" || typeof id === "number") ? String(id) : undefined;
    if (user && user.length > ID_MAX) {
      return false;
    }
    const kept = this.read();
    const known = this.storage ? kept.user : this.user;
    this.user = user;
    kept.user = user;
    this.write(kept);
    return !!user && user !== known;
  }

  private read(): Kept {
    try {
      return JSON.parse(this.storage!.getItem(this.entry)!) || {};
    } catch {
      return {};
    }
  }

  private write(kept: Kept): boolean {
    try {
      this.storage!.setItem(this.entry, JSON.stringify(kept));
      return true;
    } catch {
      this.storage = null;
      return false;
    }
  }
}
