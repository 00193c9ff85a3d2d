// Draws the charts of the page from the JSON beside them, in the colours that page.css has now.
(() => {
  "use strict";
  const root = document.documentElement;
  const colour = (name) => getComputedStyle(root).getPropertyValue(`--${name}`).trim();
  const formats = {
    usd: new Intl.NumberFormat("en-US", { style: "currency", currency: "USD" }),
    count: new Intl.NumberFormat("en-US"),
    cents: new Intl.NumberFormat("en-US", { style: "currency", currency: "USD", maximumFractionDigits: 4 }),
    usdTick: new Intl.NumberFormat("en-US", {
      style: "currency",
      currency: "USD",
      minimumFractionDigits: 0,
      maximumFractionDigits: 6,
    }),
    countTick: new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 }),
  };
  function said(unit, value) {
    if (unit === "usd" && value > 0 && value < 0.00005) return "<$0.0001";
    return (unit === "usd" && value < 1 ? formats.cents : formats[unit]).format(value);
  }

  function fill(series) {
    const ink = colour(series.colour);
    if (series.fill === "solid") return ink;
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const pen = tile.getContext("2d");
    pen.fillStyle = colour("surface");
    pen.fillRect(0, 0, 6, 6);
    pen.strokeStyle = ink;
    pen.lineWidth = series.fill === "hatched" ? 2 : 1;
    pen.beginPath();
    for (const at of [-6, 0, 6]) {
      pen.moveTo(at - 1, 7);
      pen.lineTo(at + 7, -1);
      if (series.fill === "crossed") {
        pen.moveTo(at - 1, -1);
        pen.lineTo(at + 7, 7);
      }
    }
    pen.stroke();
    return pen.createPattern(tile, "repeat");
  }

  function configuration(given) {
    const [ink, soft, line, grid, surface] = ["ink", "soft", "line", "grid", "surface"].map(colour);
    const sum = (items) => items.reduce((whole, item) => whole + (item.raw ?? 0), 0);
    return {
      type: "bar",
      data: {
        labels: given.labels,
        datasets: given.series.map((series) => ({
          label: series.label,
          data: series.values,
          backgroundColor: fill(series),
          hoverBackgroundColor: fill(series),
          hoverBorderColor: ink,
          borderColor: colour(series.fill === "solid" ? "surface" : series.colour),
          borderWidth: series.fill === "solid" ? { top: 1 } : 1,
          maxBarThickness: 48,
          categoryPercentage: 0.86,
          barPercentage: 1,
        })),
      },
      options: {
        responsive: true,
        maintainAspectRatio: false,
        animation: false,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: {
            stacked: true,
            grid: { display: false },
            border: { color: line },
            ticks: { color: soft, maxRotation: 0, autoSkipPadding: 16 },
          },
          y: {
            stacked: true,
            beginAtZero: true,
            grid: { color: grid },
            border: { display: false },
            ticks: { color: soft, maxTicksLimit: 6, callback: (value) => formats[`${given.unit}Tick`].format(value) },
          },
        },
        plugins: {
          colors: { enabled: false },
          legend: { display: false },
          tooltip: {
            filter: (item) => item.raw !== null && item.raw !== 0,
            itemSort: (one, other) => other.datasetIndex - one.datasetIndex,
            padding: 10,
            backgroundColor: ink,
            titleColor: surface,
            bodyColor: surface,
            footerColor: surface,
            callbacks: {
              title: (items) => (items.length ? given.titles[items[0].dataIndex] : ""),
              label: (item) => ` ${short(item.dataset.label)}: ${said(given.unit, item.raw)}`,
              footer: (items) => (items.length > 1 ? `Total: ${said(given.unit, sum(items))}` : ""),
            },
          },
        },
      },
    };
  }

  const short = (text) => (text.length > 40 ? `${text.slice(0, 39)}…` : text);

  // What is seen of a chart: which step the keyboard is at, which series are shown.
  function present(given) {
    const canvas = document.getElementById(`${given.id}-canvas`);
    const box = canvas.parentElement;
    const live = canvas.nextElementSibling;
    const buttons = [...document.querySelectorAll(`[data-chart="${given.id}"]`)];
    const isShown = (at) => buttons[at].getAttribute("aria-pressed") === "true";
    let chart = null;
    let step = -1;

    function draw() {
      chart?.destroy();
      chart = new Chart(canvas, configuration(given));
      buttons.forEach((_, at) => chart.setDatasetVisibility(at, isShown(at)));
      chart.update("none");
    }

    function point(elements) {
      chart.tooltip.setActiveElements(elements, { x: 0, y: 0 });
      chart.setActiveElements(elements);
      chart.update("none");
    }

    function read(to) {
      step = Math.min(Math.max(to, 0), given.labels.length - 1);
      const shown = given.series.map((series, at) => ({ series, at })).filter(({ at }) => isShown(at));
      point(shown.map(({ at }) => ({ datasetIndex: at, index: step })));
      const parts = shown
        .filter(({ series }) => series.values[step])
        .map(({ series }) => `${series.label} ${said(given.unit, series.values[step])}`);
      live.textContent = `${given.titles[step]}: ${parts.join(", ") || "nothing"}`;
    }

    const keys = {
      ArrowRight: () => step + 1,
      ArrowLeft: () => step - 1,
      Home: () => 0,
      End: () => given.labels.length - 1,
    };
    box.addEventListener("keydown", (event) => {
      if (!Object.hasOwn(keys, event.key)) return;
      event.preventDefault();
      read(keys[event.key]());
    });
    box.addEventListener("blur", () => point([]));
    buttons.forEach((button, at) => {
      button.addEventListener("click", () => {
        button.setAttribute("aria-pressed", String(!isShown(at)));
        chart.setDatasetVisibility(at, isShown(at));
        chart.update("none");
      });
    });
    draw();
    return draw;
  }

  const draws = JSON.parse(document.getElementById("charts").textContent).map(present);
  const redraw = () => draws.forEach((draw) => draw());
  const printing = (is) => () => {
    root.classList.toggle("printing", is);
    redraw();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  addEventListener("beforeprint", printing(true));
  addEventListener("afterprint", printing(false));
})();
