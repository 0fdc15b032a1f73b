/**
 * Pages that a site shows without loading them.
 *
 * 1. Another path is another page, whichever way the address changed. With `pushState` and `popstate` another query is
 *    one, too; with `replaceState` it is not: that is how sites tidy their address, UTM parameters first of all.
 * 2. Another fragment is never another page.
 * 3. A page that the browser brings back from its cache is seen again.
 */

/** The page's address without its fragment, which is the page's own affair. */
export function address(): string {
  return location.href.split("#")[0]!;
}

/** Calls `seen` after each navigation, with the address that it left. */
export function onNavigation(seen: (from: string) => void): void {
  let current = address();

  function moved(queryCounts: boolean): void {
    const from = current;
    current = address();
    if (queryCounts ? current !== from : current.split("?")[0] !== from.split("?")[0]) {
      seen(from);
    }
  }

  function watch(method: "pushState" | "replaceState", queryCounts: boolean): void {
    const original = history[method];
    history[method] = function (this: History, ...call: Parameters<History["pushState"]>) {
      original.apply(this, call);
      moved(queryCounts);
    };
  }

  watch("pushState", true);
  watch("replaceState", false);
  addEventListener("popstate", () => moved(true));
  addEventListener("pageshow", (event) => event.persisted && seen(document.referrer));
}
