// The figure of mathematics.md and of the tutorial: loss and slope of both classes, drawn anew as γ, α and the logit move.
// The formulas are those of focal_jax/_core/focal.py, in double: no 1 − p, no power of γ − 1.
"use strict";
{
  const sigmoid = (u) => (u < 0 ? Math.exp(u) / (1 + Math.exp(u)) : 1 / (1 + Math.exp(-u)));
  const softplus = (u) => Math.max(u, 0) + Math.log1p(Math.exp(-Math.abs(u)));
  const loss = (u, gamma) => sigmoid(-u) ** gamma * softplus(-u);
  const slope = (u, gamma) => {
    const p = sigmoid(u), q = sigmoid(-u);
    return -(q ** gamma) * (gamma * p * softplus(-u) + q);
  };

  // Each class has a margin, a weight and the sign of its margin.
  const CLASSES = {
    one: { sign: 1, weight: (alpha) => alpha },
    zero: { sign: -1, weight: (alpha) => 1 - alpha },
  };
  const PLOTS = {
    loss: { title: "loss", bottom: 0, top: 4, of: (z, name, gamma) => loss(CLASSES[name].sign * z, gamma) },
    slope: {
      title: "slope in the logit", bottom: -1.25, top: 1.25,
      of: (z, name, gamma) => CLASSES[name].sign * slope(CLASSES[name].sign * z, gamma),
    },
  };
  const WIDTH = 360, HEIGHT = 246, LEFT = 34, BOTTOM = 32, TOP = 18, RIGHT = 8, POINTS = 240;
  const AXES = {
    logit: { title: "logit z", ticks: [-6, -3, 0, 3, 6], z: (t) => 12 * t - 6, t: (z) => (z + 6) / 12 },
    // From 0.0025 to 0.9975, which are the same logits.
    probability: {
      title: "p = σ(z)", ticks: [0, 0.25, 0.5, 0.75, 1], t: (z) => sigmoid(z),
      z: (t) => { const p = Math.min(Math.max(t, 0.0025), 0.9975); return Math.log(p) - Math.log1p(-p); },
    },
  };

  const element = (name, attributes, ...children) => {
    const svg = ["svg", "path", "text", "circle"].includes(name);
    const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  };
  const across = (t) => LEFT + Math.min(Math.max(t, 0), 1) * (WIDTH - LEFT - RIGHT);
  const upward = (y, plot) => {
    const inside = Math.min(Math.max(y, plot.bottom), plot.top);
    return TOP + ((plot.top - inside) / (plot.top - plot.bottom)) * (HEIGHT - TOP - BOTTOM);
  };

  // A line through the values of a function of the logit; what lies outside of the plot leaves it.
  function curve(plot, axis, f) {
    let d = "", pen = "M";
    for (let i = 0; i <= POINTS; i++) {
      const y = f(axis.z(i / POINTS));
      const inside = y >= plot.bottom && y <= plot.top;
      if (inside) d += `${pen}${across(i / POINTS).toFixed(2)},${upward(y, plot).toFixed(2)}`;
      pen = inside ? "L" : "M";
    }
    return d || "M0,0";
  }

  function frame(plot, axis) {
    const zero = upward(Math.max(plot.bottom, 0), plot);
    const label = (x, y, text, anchor = "middle") => element("text", { x, y, "text-anchor": anchor }, text);
    const ticks = axis.ticks.map((tick) => {
      const t = axis === AXES.logit ? axis.t(tick) : tick;
      return label(across(t), HEIGHT - 18, `${tick}`.replace("-", "−"));
    });
    const sides = [plot.bottom, plot.top].map((y) => label(LEFT - 4, upward(y, plot) + 4, `${y}`.replace("-", "−"), "end"));
    return [
      element("path", { class: "axis", d: `M${LEFT},${TOP}V${HEIGHT - BOTTOM}M${LEFT},${zero}H${WIDTH - RIGHT}` }),
      label(LEFT + 6, 12, plot.title, "start"), label(across(0.5), HEIGHT - 4, axis.title), ...ticks, ...sides,
    ];
  }

  function draw(svg, plot, axis, { alpha, gamma, z }) {
    const lines = [], points = [];
    for (const [name, { weight }] of Object.entries(CLASSES)) {
      const f = (x, exponent) => weight(alpha) * plot.of(x, name, exponent);
      lines.push(element("path", { class: "entropy", d: curve(plot, axis, (x) => f(x, 0)) }));
      lines.push(element("path", { class: name, d: curve(plot, axis, (x) => f(x, gamma)) }));
      points.push(element("circle", { class: name, r: 4, cx: across(axis.t(z)), cy: upward(f(z, gamma), plot) }));
    }
    svg.replaceChildren(...frame(plot, axis), ...lines, ...points);
  }

  // A number in twelve digits, or with a power of ten where it is tiny.
  const digits = (x) => `${Number(x.toPrecision(12))}`.replace("-", "−").replace("e−", "e-");

  function table({ alpha, gamma, z }) {
    const rows = Object.entries(CLASSES).map(([name, { weight }]) => {
      const [l, s] = Object.values(PLOTS).map((plot) => weight(alpha) * plot.of(z, name, gamma));
      const cell = (kind, x) => element("td", { "data-value": x, "data-kind": kind }, digits(x));
      const title = name === "one" ? "target 1" : "target 0";
      return element("tr", { class: name }, element("td", { class: `key ${name}` }, title), cell("loss", l), cell("slope", s));
    });
    const head = ["", "loss", "slope"].map((x) => element("th", {}, x));
    return element("table", {}, element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows));
  }

  function slider(name, title, [min, max, step, value], changed) {
    const input = element("input", { type: "range", id: `focal-${name}`, min, max, step, value });
    const shown = element("output", { for: input.id }, `${value}`);
    input.addEventListener("input", () => { shown.textContent = input.value.replace("-", "−"); changed(); });
    return { input, label: element("label", {}, element("span", {}, title), input, shown) };
  }

  function figure(place) {
    const update = () => {
      const [gamma, alpha, z] = sliders.map(({ input }) => Number(input.value));
      const axis = AXES[choice.value];
      Object.values(PLOTS).forEach((plot, i) => draw(pictures[i], plot, axis, { gamma, alpha, z }));
      numbers.replaceChildren(table({ gamma, alpha, z }));
    };
    const sliders = [
      slider("gamma", "γ", [0, 5, 0.1, 2], update), slider("alpha", "α", [0, 1, 0.01, 0.25], update),
      slider("logit", "logit z", [-40, 40, 0.5, 1], update),
    ];
    const options = Object.entries(AXES).map(([value, { title }]) => element("option", { value }, title));
    const choice = element("select", { id: "focal-axis" }, ...options);
    choice.addEventListener("change", update);
    const pictures = Object.values(PLOTS).map(({ title }) =>
      element("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${title} of both classes` }));
    const numbers = element("div", { class: "numbers", "aria-live": "polite" });
    const controls = [...sliders.map(({ label }) => label), element("label", {}, element("span", {}, "against"), choice)];
    // Without a script a picture may be there.
    place.replaceChildren(element("div", { class: "controls" }, ...controls), element("div", { class: "plots" }, ...pictures), numbers);
    update();
  }

  const place = document.getElementById("focal-figure");
  if (place) figure(place);
}
