// Keeps a page up to date: listens to /events and, when it is told of a change, fetches
// the page again and changes in place what differs. Pages work without it.
(() => {
  "use strict";
  const address = document.body.dataset.live;
  if (!address) return;
  const least = 1000; // ms between two fetches
  const anyway = 30000; // fetched even if nothing is told: ages grow
  const away = document.querySelector("[data-away]");
  const lost = document.querySelector("[data-lost]");
  let source = null;
  let fetching = false;
  let wanted = false;
  let last = 0;
  let timer = 0;

  function same(a, b) {
    return a.nodeType === b.nodeType && a.nodeName === b.nodeName && key(a) === key(b);
  }

  function key(node) {
    return node.dataset ? node.dataset.key : undefined;
  }

  // become makes the node like another. What is the same stays in place, with its focus
  // and the movement of its bars.
  function become(node, like) {
    if (node.nodeType !== Node.ELEMENT_NODE) {
      if (node.data !== like.data) node.data = like.data;
      return;
    }
    for (const a of [...node.attributes]) if (!like.hasAttribute(a.name)) node.removeAttribute(a.name);
    for (const a of like.attributes) if (node.getAttribute(a.name) !== a.value) node.setAttribute(a.name, a.value);
    const known = new Map();
    for (const child of node.children) if (key(child) !== undefined) known.set(key(child), child);
    let here = node.firstChild;
    for (const want of [...like.childNodes]) {
      let child = key(want) !== undefined ? known.get(key(want)) : here && same(here, want) ? here : null;
      if (child && !same(child, want)) child = null;
      if (!child) {
        node.insertBefore(document.importNode(want, true), here);
        continue;
      }
      if (child === here) here = here.nextSibling;
      else node.insertBefore(child, here);
      become(child, want);
    }
    while (here) {
      const next = here.nextSibling;
      here.remove();
      here = next;
    }
  }

  async function refresh() {
    if (fetching) {
      wanted = true;
      return;
    }
    fetching = true;
    wanted = false;
    last = Date.now();
    try {
      const url = new URL(location.href);
      url.searchParams.set("live", "1");
      url.hash = "";
      const answer = await fetch(url, { headers: { Accept: "text/html" }, cache: "no-store", signal: AbortSignal.timeout(20000) });
      if (answer.ok) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        if (document.title !== page.title) document.title = page.title;
        for (const part of page.querySelectorAll("[data-part]")) {
          const here = document.querySelector('[data-part="' + part.dataset.part + '"]');
          if (here) become(here, part);
        }
        away.hidden = true;
        lost.hidden = true;
      } else if (answer.status === 503) {
        away.hidden = false;
        setTimeout(soon, 5000);
      } else if (answer.status === 404 || answer.status === 401) {
        location.reload();
      }
    } catch {
      lost.hidden = false;
      setTimeout(soon, 5000);
    } finally {
      fetching = false;
      if (wanted) soon();
    }
  }

  function soon() {
    if (timer || document.hidden) return;
    timer = setTimeout(() => {
      timer = 0;
      refresh();
    }, Math.max(0, last + least - Date.now()));
  }

  function listen() {
    if (source || document.hidden) return;
    source = new EventSource(address);
    source.onopen = () => { lost.hidden = true; };
    source.addEventListener("change", soon);
    source.addEventListener("away", () => { away.hidden = false; });
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) {
        // Refused: too many listen, or the worker is gone. Ask now and then.
        source = null;
        setTimeout(listen, 15000);
        soon();
        return;
      }
      lost.hidden = false;
    };
  }

  // A page that nobody looks at takes no connection: a browser has few for a server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      if (source) source.close();
      source = null;
    } else {
      listen();
      soon();
    }
  });
  addEventListener("pagehide", () => { if (source) source.close(); source = null; });
  addEventListener("pageshow", listen);
  setInterval(() => { if (Date.now() - last > anyway) soon(); }, anyway / 3);
  document.documentElement.classList.add("live");
  listen();
})();
