// What the pages need beside NiceGUI: acts of plain forms and buttons, the theme, keys. No code arrives from the server.
"use strict";
(() => {
  const kept = { get: (k) => { try { return sessionStorage.getItem(k); } catch { return null; } },
                 set: (k, v) => { try { v === null ? sessionStorage.removeItem(k) : sessionStorage.setItem(k, v); } catch { /* no matter */ } } };

  // --- acts: what a form or button with data-act says goes to the part of the page that it stands in
  function act(element, detail) {
    const part = element.closest("[data-part]");
    if (!part || part.getAttribute("aria-busy") === "true") return;
    part.setAttribute("aria-busy", "true");
    part.dispatchEvent(new CustomEvent("act", { detail }));
  }
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form");
    if (!form) return;
    if (form.dataset.search !== undefined) return search(form, event);
    if (!form.dataset.act) return;
    event.preventDefault();
    const fields = Object.fromEntries(new FormData(form, event.submitter));
    act(form, { ...fields, act: event.submitter?.dataset.act || form.dataset.act });
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button || button.form) return;
    act(button, { ...button.dataset });
  });

  // --- searching: what names a person stays out of addresses, which browsers and proxies write down
  const PERSONAL = /@|^\+?[\d\s()/-]{7,}$/;
  function search(form, event) {
    const text = form.elements.q.value.trim();
    if (!PERSONAL.test(text)) return;
    event.preventDefault();
    kept.set("search", text);
    location.assign(form.getAttribute("action") + "?kept");
  }
  function searchKept() {
    const asked = document.querySelector("form[data-kept]");
    const text = kept.get("search");
    if (!asked || !text || !new URLSearchParams(location.search).has("kept")) return;
    asked.elements.q.value = text;
    act(asked, { act: "search", q: text });
  }

  // --- a file that is opened goes into the field of its form
  async function opened(input) {
    if (input.files[0]) input.form.elements[input.dataset.into].value = await input.files[0].text();
  }

  // --- the theme
  function theme(chosen) {
    const root = document.documentElement;
    if (chosen) root.dataset.theme = chosen;
    else delete root.dataset.theme;
    try {
      chosen ? localStorage.setItem("theme", chosen) : localStorage.removeItem("theme");
    } catch { /* it holds for this page then */ }
    showTheme();
  }
  function showTheme() {
    for (const select of document.querySelectorAll("select[data-theme-choice]")) select.value = document.documentElement.dataset.theme || "";
  }
  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-theme-choice]")) theme(event.target.value);
    else if (event.target.matches("[data-submit]")) event.target.form?.requestSubmit();
    else if (event.target.matches("input[data-into]")) opened(event.target);
  });

  // --- the menu of a narrow screen
  document.addEventListener("click", (event) => {
    const button = event.target.closest("button[aria-controls]");
    if (!button) return;
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    document.getElementById(button.getAttribute("aria-controls"))?.classList.toggle("open", open);
  });

  // --- keys: / to search, g and a letter to go somewhere, Escape out of a field
  let going = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key === "Escape" && typing) return typing.blur();
    if (typing) return;
    if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.focus();
    } else if (event.key === "g") {
      going = Date.now();
    } else if (Date.now() - going < 1500) {
      going = 0;
      document.querySelector(`nav a[data-key="${CSS.escape(event.key)}"]`)?.click();
    }
  });

  // --- what NiceGUI has drawn: a part is no longer busy once its turn changes; what should have the focus gets it
  new MutationObserver((changes) => {
    for (const change of changes) {
      if (change.attributeName === "data-turn") {
        change.target.removeAttribute("aria-busy");
        const wanted = change.target.querySelector("[data-focus]");
        if (wanted) { wanted.setAttribute("tabindex", "-1"); wanted.focus(); }
      }
    }
  }).observe(document.documentElement, { attributes: true, attributeFilter: ["data-turn"], subtree: true });
  const drawn = new MutationObserver(() => {
    if (!document.querySelector("[data-part]")) return;
    drawn.disconnect();
    document.getElementById("app")?.setAttribute("data-drawn", "");
    showTheme();
    searchKept();
  });
  drawn.observe(document.documentElement, { childList: true, subtree: true });
})();
