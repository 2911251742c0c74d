"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const root = document.documentElement;
  const touch = matchMedia("(pointer: coarse), (max-width: 40rem)").matches;
  const DAY = 86400000;

  // -- values that figures.py leaves to the page ----------------------------------------------------------------------

  const kinds = { i4: Int32Array, f4: Float32Array, f8: Float64Array, u2: Uint16Array, u1: Uint8Array };

  function unpack(spec) {
    const bytes = Uint8Array.from(atob(spec.bdata), (c) => c.charCodeAt(0));
    return new kinds[spec.dtype](bytes.buffer);
  }

  const shared = {};
  for (const [name, spec] of Object.entries(report.shared)) {
    shared[name] = Float64Array.from(unpack(spec), (day) => day * DAY);
  }

  function filled(value, colour) {
    if (Array.isArray(value)) return value.map((item) => filled(item, colour));
    if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
    if ("css" in value) return colour(value.css);
    if ("shared" in value) return shared[value.shared];
    if ("bdata" in value) return unpack(value);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, colour)]));
  }

  function colours() {
    const style = getComputedStyle(root);
    return (name) => style.getPropertyValue(name).trim();
  }

  // -- charts ---------------------------------------------------------------------------------------------------------

  const sessions = shared.sessions;
  const whole = [sessions[0], sessions[sessions.length - 1]];
  let view = whole;

  function merged(below, above) {
    const out = { ...below };
    for (const [key, value] of Object.entries(above)) {
      const both = value && typeof value === "object" && !Array.isArray(value) && out[key];
      out[key] = both ? merged(out[key], value) : value;
    }
    return out;
  }

  function layout(chart, colour) {
    const ink = colour("--ink-soft");
    const y = { fixedrange: true, gridcolor: colour("--grid"), zeroline: false, automargin: false, ticks: "" };
    const time = { type: "date", range: view, hoverformat: "%a %-d %b %Y", showgrid: false };
    const common = {
      autosize: true,
      showlegend: false,
      hovermode: "x unified",
      dragmode: touch || !chart.timed ? false : "zoom",
      margin: { l: 44, r: 6, t: 8, b: 24 },
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: ink },
      hoverlabel: { bgcolor: colour("--raised"), bordercolor: colour("--rule"), font: { color: colour("--ink") } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--rule"), activecolor: colour("--ink") },
      xaxis: {
        ...(chart.timed ? time : { fixedrange: true, showgrid: false }),
        linecolor: colour("--rule"), zerolinecolor: colour("--rule"), gridcolor: colour("--grid"),
        ticks: "outside", tickcolor: colour("--rule"), ticklen: 4, spikecolor: colour("--rule"),
        spikethickness: 1, spikedash: "solid", nticks: root.clientWidth < 600 ? 6 : 14,
      },
      yaxis: y,
    };
    if (chart.layout.yaxis2) common.yaxis2 = y;
    return merged(common, filled(chart.layout, colour));
  }

  const config = {
    responsive: true,
    displaylogo: false,
    displayModeBar: touch ? false : "hover",
    modeBarButtons: [["toImage"]],
    doubleClick: false,
    showTips: false,
  };

  const charts = report.charts.map((chart) => ({ ...chart, box: document.getElementById(`chart-${chart.id}`) }));

  function draw() {
    const colour = colours();
    for (const chart of charts) {
      const data = filled(chart.data, colour);
      chart.hidden?.forEach((i) => { data[i].visible = false; });
      Plotly.react(chart.box, data, layout(chart, colour), config);
    }
    if (view !== whole) show(view);
  }

  /** Ranges of the axes that follow what is in view. */
  function fitted(chart, [from, to]) {
    const ranges = {};
    for (const axis of chart.fit) {
      let low = Infinity;
      let high = -Infinity;
      for (const trace of chart.box.data) {
        if (trace.visible === false || (trace.yaxis ?? "y").replace("y", "yaxis") !== axis) continue;
        for (let i = 0; i < trace.y.length; i++) {
          if (trace.x[i] < from || trace.x[i] > to || Number.isNaN(trace.y[i])) continue;
          low = Math.min(low, trace.y[i]);
          high = Math.max(high, trace.y[i]);
        }
      }
      if (low > high) continue;
      const full = chart.box.layout[axis];
      const [a, b] = full.type === "log" ? [Math.log10(low), Math.log10(high)] : [Math.min(0, low), high];
      ranges[`${axis}.range`] = [a - (a ? 0.04 * (b - a) : 0), b + 0.06 * (b - a)];
    }
    return ranges;
  }

  const label = document.getElementById("range");
  const iso = (time) => new Date(time).toISOString().slice(0, 10);
  /** Plotly writes a time as "2014-05-01 12:30", without the part that is zero. */
  const time = (text) => Date.parse(`${text.includes(" ") ? text.replace(" ", "T") : `${text}T00:00`}Z`);
  let moving = false;

  /** Show the sessions from one time to another in every chart. */
  function show([from, to]) {
    view = from <= whole[0] && to >= whole[1] ? whole : [from, to];
    moving = true;
    const timed = charts.filter((chart) => chart.timed);
    const done = timed.map((chart) => {
      const y = view === whole
        ? Object.fromEntries(chart.fit.map((axis) => [`${axis}.autorange`, true]))
        : fitted(chart, view);
      return Plotly.relayout(chart.box, { "xaxis.range": view.slice(), ...y });
    });
    label.textContent = `${iso(Math.max(view[0], whole[0]))} – ${iso(Math.min(view[1], whole[1]))}`;
    return Promise.all(done).finally(() => { moving = false; });
  }

  function follow(chart) {
    chart.box.on("plotly_relayout", (event) => {
      if (moving || !("xaxis.range[0]" in event)) return;
      mark(null);
      show([time(event["xaxis.range[0]"]), time(event["xaxis.range[1]"])]);
    });
    chart.box.on("plotly_doubleclick", () => { mark(spans[0]); show(whole); });
  }

  const spans = [...document.querySelectorAll("button[data-years]")];
  function mark(pressed) {
    spans.forEach((button) => button.setAttribute("aria-pressed", String(button === pressed)));
  }
  for (const button of spans) {
    button.addEventListener("click", () => {
      const years = Number(button.dataset.years);
      const from = new Date(whole[1]);
      from.setUTCFullYear(from.getUTCFullYear() - years);
      mark(button);
      show(years ? [from.getTime(), whole[1]] : whole);
    });
  }

  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const chart = charts.find((one) => one.id === button.dataset.chart);
      const traces = button.dataset.traces.split(" ").map(Number);
      const visible = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", String(visible));
      chart.hidden = new Set(chart.hidden ?? []);
      traces.forEach((i) => (visible ? chart.hidden.delete(i) : chart.hidden.add(i)));
      Plotly.restyle(chart.box, { visible }, traces);
    });
  }

  // -- trades ---------------------------------------------------------------------------------------------------------

  /** The list of trades, of a page that has one. */
  function listTrades(form) {
    const PAGE = 25;
    const trades = Object.fromEntries(Object.entries(report.trades).map(([name, columns]) => [
      name,
      Object.fromEntries(Object.entries(columns).map(([key, spec]) => [key, unpack(spec)])),
    ]));
    const body = document.querySelector("#trade-table tbody");
    const said = document.getElementById("trade-count");
    let page = 0;

    const digits = (least, most) => new Intl.NumberFormat("en", { minimumFractionDigits: least, maximumFractionDigits: most });
    const whole_or_not = digits(0, 4);
    const cents = digits(2, 2);
    const minus = (text) => text.replace("-", "\u2212");

    function rows() {
      const columns = trades[form.elements.account.value];
      const wanted = form.elements.symbol.value;
      const found = [];
      for (let i = 0; i < columns.date.length; i++) {
        if (wanted === "" || report.symbols[columns.symbol[i]] === wanted) found.push(i);
      }
      return [columns, found.reverse()];
    }

    function values(columns, i) {
      return [
        iso(columns.date[i] * DAY), (columns.size[i] > 0 ? "buy" : "sell") + (columns.call[i] ? ", margin call" : ""),
        report.symbols[columns.symbol[i]], Math.abs(columns.size[i]), columns.price[i],
        Math.abs(columns.size[i] * columns.price[i]), columns.commission[i], columns.slippage[i],
      ];
    }

    function list() {
      const [columns, found] = rows();
      const pages = Math.max(1, Math.ceil(found.length / PAGE));
      page = Math.min(Math.max(page, 0), pages - 1);
      body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map((i) => {
        const row = document.createElement("tr");
        values(columns, i).forEach((value, column) => {
          const shown = typeof value === "string" ? value : minus((column === 3 ? whole_or_not : cents).format(value));
          const cell = document.createElement("td");
          cell.textContent = shown;
          if (column < 3) cell.className = "text";
          row.append(cell);
        });
        return row;
      }));
      said.textContent = `${found.length.toLocaleString("en")} fills, latest first, page ${page + 1} of ${pages}`;
      form.elements.newer.disabled = page === 0;
      form.elements.older.disabled = page === pages - 1;
    }

    function save() {
      const [columns, found] = rows();
      const quoted = (value) => (typeof value === "string" ? `"${value.replaceAll('"', '""')}"` : String(value));
      const head = "date,side,symbol,shares,price,value,commission,slippage";
      const lines = found.reverse().map((i) => values(columns, i).map(quoted).join(","));
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([[head, ...lines, ""].join("\n")], { type: "text/csv" }));
      link.download = `trades_${form.elements.account.value}.csv`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }

    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("change", () => { page = 0; list(); });
    form.elements.newer.addEventListener("click", () => { page -= 1; list(); });
    form.elements.older.addEventListener("click", () => { page += 1; list(); });
    form.elements.save.addEventListener("click", save);
    list();
  }

  // -- light, dark, paper ---------------------------------------------------------------------------------------------

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  const PAPER = 660; // pixels of text on A4
  let folded = [];
  addEventListener("beforeprint", () => {
    root.dataset.paper = "";
    folded = [...document.querySelectorAll("main details:not([open])")];
    folded.forEach((one) => { one.open = true; });
    draw();
    charts.forEach((chart) => Plotly.relayout(chart.box, { autosize: false, width: PAPER }));
  });
  addEventListener("afterprint", () => {
    delete root.dataset.paper;
    folded.forEach((one) => { one.open = false; });
    draw();
    charts.forEach((chart) => Plotly.relayout(chart.box, { autosize: true, width: null }));
  });

  // -- where the reader is --------------------------------------------------------------------------------------------

  const entries = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const watch = new IntersectionObserver((seen) => {
    for (const { target, isIntersecting } of seen) {
      if (!isIntersecting) continue;
      entries.forEach((a) => a.removeAttribute("aria-current"));
      entries.get(target.id)?.setAttribute("aria-current", "true");
    }
  }, { rootMargin: "-15% 0px -75% 0px" });
  document.querySelectorAll("main section[id]").forEach((section) => watch.observe(section));

  draw();
  charts.filter((chart) => chart.timed).forEach(follow);
  label.textContent = `${iso(whole[0])} – ${iso(whole[1])}`;
  const form = document.getElementById("trade-filter");
  if (form) listTrades(form);
  root.dataset.ready = "";
})();
