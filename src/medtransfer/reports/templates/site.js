"use strict";
(function () {
  function made(name, values, children) {
    const element = document.createElement(name);
    Object.entries(values || {}).forEach(function ([key, value]) {
      if (key in element) { element[key] = value; } else { element.setAttribute(key, value); }
    });
    (children || []).forEach(function (child) { element.append(child); });
    return element;
  }
  function button(text, values, act) {
    const element = made("button", Object.assign({ type: "button" }, values), [text]);
    element.addEventListener("click", act);
    return element;
  }

  // Sorting: a column by its numbers where it has any, else by its text; what has no number comes last.
  function sortRows(body, key, downwards) {
    const rows = [...body.rows];
    const place = function (row) { return Number(row.dataset.place); };
    rows.sort(function (a, b) {
      const x = key && key(a), y = key && key(b);
      if (!key || x === y) { return place(a) - place(b); }
      if (x === null || y === null) { return x === null ? 1 : -1; }
      const order = typeof x === "number" ? x - y : x.localeCompare(y, "en", { numeric: true });
      return (downwards ? -order : order) || place(a) - place(b);
    });
    body.append(...rows);
  }
  function number(cell) {
    const value = cell.dataset.value === undefined ? NaN : Number(cell.dataset.value);
    return Number.isFinite(value) ? value : null;
  }
  function numbered(body) {
    [...body.rows].forEach(function (row, place) { row.dataset.place = place; });
  }
  function sortButton(head, label, act) {
    const element = button("", { className: "sort", "aria-label": "Sort by " + label }, act);
    element.append(made("span", { "aria-hidden": "true" }));
    head.insertBefore(element, head.querySelector("small"));
    element.before(" ");
  }
  function markSorted(heads, sorted, downwards) {
    heads.forEach(function (head) {
      if (head === sorted) {
        head.setAttribute("aria-sort", downwards ? "descending" : "ascending");
      } else {
        head.removeAttribute("aria-sort");
      }
    });
  }

  function makeSortable(table) {
    const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
    if (body.rows.length < 3) { return; }
    numbered(body);
    let sorted = null, turned = false;
    heads.forEach(function (head, column) {
      const label = head.firstChild.textContent.trim() ? head.textContent.trim() : "column " + (column + 1);
      const cells = [...body.rows].map(function (row) { return row.cells[column]; });
      const numeric = cells.some(function (cell) { return number(cell) !== null; });
      sortButton(head, label, function () {
        if (sorted !== head) { sorted = head; turned = false; } else if (!turned) { turned = true; } else { sorted = null; }
        const downwards = numeric !== turned;
        const key = function (row) {
          const cell = row.cells[column];
          return numeric ? number(cell) : cell.textContent.trim().toLowerCase();
        };
        sortRows(body, sorted && key, downwards);
        markSorted(heads, sorted, downwards);
      });
    });
  }

  // The matrix: which panel, which rows and columns, in which order; all of it stands in the address.
  const NAME = "--name", STUDY_ORDER = "";

  function makeMatrix(matrix) {
    const words = { rows: matrix.dataset.rows, columns: matrix.dataset.columns };
    const panels = [...matrix.querySelectorAll("figure.table")].map(readPanel);
    const subjects = { rows: union("rows"), columns: union("columns") };
    const start = function () {
      return { view: panels[0].name, sort: STUDY_ORDER, turned: false, brief: false,
        find: { rows: "", columns: "" }, hidden: { rows: new Set(), columns: new Set() } };
    };
    let state = start(), unknown = [];
    const controls = makeControls();
    matrix.prepend(controls.element);
    panels.forEach(function (panel) {
      panel.heads.forEach(function (head) {
        sortButton(head, head.dataset.label, function () { change(function () { nextOrder(head.dataset.id); }); });
      });
    });
    window.addEventListener("hashchange", restore);
    if (!restore()) { show(); }

    function readPanel(figure) {
      const table = figure.querySelector("table"), body = table.tBodies[0];
      numbered(body);
      const heads = [...table.tHead.rows[0].cells];
      return { figure: figure, body: body, heads: heads, name: figure.dataset.name,
        protocol: figure.dataset.protocol, fraction: figure.dataset.fraction,
        rows: [...body.rows].map(subject),
        columns: heads.filter(function (head) { return !head.dataset.id.startsWith("--"); }).map(subject) };
    }
    function subject(element) {
      const text = element.dataset.label + " " + (element.dataset.words || "");
      return { id: element.dataset.id, label: element.dataset.label, text: text.toLowerCase(), element: element };
    }
    function union(kind) {
      const found = new Map();
      panels.forEach(function (panel) {
        panel[kind].forEach(function (entry) { if (!found.has(entry.id)) { found.set(entry.id, entry); } });
      });
      return [...found.values()];
    }
    function current() {
      return panels.find(function (panel) { return panel.name === state.view; });
    }

    function change(act) {
      act();
      unknown = [];
      history.replaceState(null, "", address() || location.pathname + location.search);
      show();
    }
    function nextOrder(id) {
      if (state.sort !== id) { state.sort = id; state.turned = false; return; }
      if (state.turned) { state.sort = STUDY_ORDER; }
      state.turned = !state.turned;
    }

    function address() {
      const said = new URLSearchParams();
      if (state.view !== panels[0].name) { said.set("view", state.view); }
      if (state.sort !== STUDY_ORDER) { said.set("sort", state.sort); }
      if (state.turned) { said.set("order", "worst-first"); }
      if (state.brief) { said.set("intervals", "off"); }
      Object.entries({ rows: "models", columns: "tasks" }).forEach(function ([kind, name]) {
        if (state.find[kind]) { said.set(name, state.find[kind]); }
        if (state.hidden[kind].size) { said.set("hide-" + name, [...state.hidden[kind]].join(",")); }
      });
      return said.toString() ? "#?" + said : "";
    }
    function restore() {
      if (!location.hash.startsWith("#?")) { return false; }
      const said = new URLSearchParams(location.hash.slice(2));
      state = start();
      unknown = [];
      const known = function (value, names) {
        if (!names.includes(value)) { unknown.push(value); return false; }
        return true;
      };
      const view = said.get("view"), sort = said.get("sort");
      if (view && known(view, panels.map(function (panel) { return panel.name; }))) { state.view = view; }
      if (sort && known(sort, orders().map(function (entry) { return entry[0]; }))) { state.sort = sort; }
      state.turned = state.sort !== STUDY_ORDER && said.get("order") === "worst-first";
      state.brief = said.get("intervals") === "off";
      Object.entries({ rows: "models", columns: "tasks" }).forEach(function ([kind, name]) {
        state.find[kind] = said.get(name) || "";
        const ids = subjects[kind].map(function (entry) { return entry.id; });
        (said.get("hide-" + name) || "").split(",").filter(Boolean).forEach(function (id) {
          if (known(id, ids)) { state.hidden[kind].add(id); }
        });
      });
      show();
      return true;
    }
    function orders() {
      const columns = subjects.columns.map(function (entry) { return [entry.id, entry.label]; });
      const own = panels[0].heads.filter(function (head) { return head.dataset.id.startsWith("--"); });
      return [[STUDY_ORDER, "order of the study"]].concat(
        own.map(function (head) { return [head.dataset.id, head.dataset.label]; }), columns);
    }

    function shown(kind, entry) {
      const wanted = state.find[kind].toLowerCase().split(/\s+/).filter(Boolean);
      return !state.hidden[kind].has(entry.id) && wanted.every(function (word) { return entry.text.includes(word); });
    }
    function show() {
      const panel = current();
      panels.forEach(function (other) { other.figure.classList.toggle("out", other !== panel); });
      panels.forEach(arrange);
      matrix.classList.toggle("brief", state.brief);
      controls.show(panel);
    }
    function arrange(panel) {
      panel.rows.forEach(function (entry) { entry.element.classList.toggle("out", !shown("rows", entry)); });
      panel.columns.forEach(function (entry) {
        const out = !shown("columns", entry), place = entry.element.cellIndex;
        if (entry.element.classList.contains("out") === out) { return; }
        entry.element.classList.toggle("out", out);
        panel.rows.forEach(function (row) { row.element.cells[place].classList.toggle("out", out); });
      });
      const head = panel.heads.find(function (other) { return other.dataset.id === state.sort; }) || null;
      const byName = state.sort === NAME;
      const downwards = Boolean(head) && (byName ? false : head.dataset.best !== "low") !== state.turned;
      const key = head && function (row) {
        return byName ? row.dataset.label.toLowerCase() : number(row.cells[head.cellIndex]);
      };
      sortRows(panel.body, key, downwards);
      markSorted(panel.heads, head, downwards);
    }

    function makeControls() {
      const parts = [];
      const switches = [choice("Protocol", "protocol"), choice("Label fraction", "fraction")];
      parts.push(made("div", { className: "line" }, switches.map(function (entry) { return entry.element; })));
      const finds = { rows: find("rows"), columns: find("columns") };
      const order = made("select", { "aria-label": "Sort by" }, orders().map(function ([id, label]) { return made("option", { value: id }, [label]); }));
      order.addEventListener("change", function () {
        change(function () { state.sort = order.value; state.turned = false; });
      });
      const turn = button("Worst first", { className: "toggle" }, function () {
        change(function () { state.turned = !state.turned; });
      });
      parts.push(made("div", { className: "line" }, [finds.rows.element, finds.columns.element,
        made("label", {}, ["Sort by ", order]), turn]));
      const lists = { rows: list("rows"), columns: list("columns") };
      const brief = button("Intervals", { className: "toggle" }, function () {
        change(function () { state.brief = !state.brief; });
      });
      const reset = button("Show everything", {}, function () {
        change(function () {
          const view = state.view;
          state = start();
          state.view = view;
        });
      });
      parts.push(made("div", { className: "line" }, [lists.rows.element, lists.columns.element, brief, reset]));
      const said = made("p", { className: "shown", role: "status" });
      const note = made("p", { className: "text" }, ["Hiding, finding and sorting change no number: tie groups, " +
        "corrections and ranks are those of all models and all tasks of a table."]);
      parts.push(said, note);
      const element = made("div", { className: "controls", role: "group", "aria-label": "What the table shows" }, parts);
      return { element: element, show: function (panel) {
        switches.forEach(function (entry) { entry.show(panel); });
        finds.rows.show(); finds.columns.show();
        lists.rows.show(); lists.columns.show();
        order.value = state.sort;
        turn.disabled = state.sort === STUDY_ORDER;
        turn.textContent = state.sort === NAME ? "Last first" : "Worst first";
        turn.setAttribute("aria-pressed", String(state.turned));
        brief.setAttribute("aria-pressed", String(!state.brief));
        said.textContent = sentence(panel);
      } };
    }
    function sentence(panel) {
      const counted = function (kind) {
        const number = panel[kind].filter(function (entry) { return shown(kind, entry); }).length;
        return [number, number + " of " + panel[kind].length + " " + words[kind]];
      };
      const [rows, rowsText] = counted("rows"), [columns, columnsText] = counted("columns");
      let text = "Shown: " + rowsText + " and " + columnsText + ", " + panel.protocol + ", " + panel.fraction + " of the labels.";
      if (!rows || !columns) { text += " Nothing matches; “Show everything” brings all back."; }
      if (state.sort !== STUDY_ORDER && !panel.heads.some(function (head) { return head.dataset.id === state.sort; })) {
        text += " This table lacks the column to sort by; it stands in the order of the study.";
      }
      if (unknown.length) { text += " The address names what this report does not have: " + unknown.join(", ") + "."; }
      return text;
    }
    function choice(title, kind) {
      const values = [...new Set(panels.map(function (panel) { return panel[kind]; }))];
      const other = kind === "protocol" ? "fraction" : "protocol";
      const partner = function (value) {
        return panels.find(function (panel) { return panel[kind] === value && panel[other] === current()[other]; });
      };
      const buttons = values.map(function (value) {
        return button(value, {}, function () {
          change(function () {
            const first = panels.find(function (panel) { return panel[kind] === value; });
            state.view = (partner(value) || first).name;
          });
        });
      });
      const element = made("div", { className: "choice", role: "group", "aria-label": title },
        [made("span", { className: "title", "aria-hidden": "true" }, [title])].concat(buttons));
      return { element: element, show: function (panel) {
        buttons.forEach(function (each, place) {
          each.setAttribute("aria-pressed", String(panel[kind] === values[place]));
          each.disabled = kind === "fraction" && !partner(values[place]);
        });
      } };
    }
    function find(kind) {
      const input = made("input", { type: "search", autocomplete: "off", spellcheck: false });
      input.addEventListener("input", function () { change(function () { state.find[kind] = input.value; }); });
      return { element: made("label", {}, ["Find " + words[kind] + " ", input]), show: function () {
        if (input.value !== state.find[kind]) { input.value = state.find[kind]; }
      } };
    }
    function list(kind) {
      const summary = made("summary", {});
      const boxes = subjects[kind].map(function (entry) {
        const box = made("input", { type: "checkbox" });
        box.addEventListener("change", function () {
          change(function () { state.hidden[kind][box.checked ? "delete" : "add"](entry.id); });
        });
        return { box: box, id: entry.id, element: made("label", {}, [box, " ", entry.label]) };
      });
      const all = function (text, hide) {
        return button(text, {}, function () {
          change(function () { state.hidden[kind] = new Set(hide ? boxes.map(function (each) { return each.id; }) : []); });
        });
      };
      const every = made("div", { className: "every" }, [all("All", false), all("None", true)]);
      const inner = made("div", { className: "boxes" }, [every].concat(boxes.map(function (each) { return each.element; })));
      return { element: made("details", { className: "list" }, [summary, inner]), show: function () {
        const kept = boxes.length - state.hidden[kind].size;
        summary.textContent = "Choose " + words[kind] + " (" + kept + " of " + boxes.length + ")";
        boxes.forEach(function (each) { each.box.checked = !state.hidden[kind].has(each.id); });
      } };
    }
  }

  document.querySelectorAll(".matrix").forEach(makeMatrix);
  document.querySelectorAll("figure.table").forEach(function (figure) {
    if (!figure.closest(".matrix")) { makeSortable(figure.querySelector("table")); }
  });
})();
