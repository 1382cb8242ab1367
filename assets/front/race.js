// Draws a race: training loss, held-out loss and accuracy of each lane, as figures/race.py says they look. Axis, smoothing, log
// scale, scrubbing and replay are answered here, without the server.
(() => {
  const NAME_HEIGHT = 18, PLOT_HEIGHT = 210;

  // Exponential moving average, each value divided by the weight it has seen, so that the start is not pulled to 0.
  const smoothed = (values, weight) => {
    let mean = 0, seen = 0;
    return values.map((value) => {
      mean = weight * mean + (1 - weight) * value;
      seen = weight * seen + (1 - weight);
      return mean / seen;
    });
  };

  // Points, each a line of text "step seconds value low high", as columns.
  const columns = (points) => {
    const rows = window.chartRows(points), of = (i) => rows.map((row) => row[i]);
    return { steps: of(0), seconds: of(1), values: of(2), ...(rows[0]?.length > 3 && { low: of(3), high: of(4) }) };
  };
  const lanes = (told) => Object.fromEntries(Object.entries(told).map(([lane, curves]) => [
    lane, Object.fromEntries(Object.entries(curves).map(([kind, points]) => [kind, columns(points)])),
  ]));

  const xs = (curve, axis, batch) => (axis === 'images' ? curve.steps.map((step) => step * batch) : curve[axis]);

  // Up to the scrubbed step: how many points of a curve are shown.
  const shown = (curve, until) => {
    let count = curve.steps.length;
    while (count && curve.steps[count - 1] > until) count -= 1;
    return count;
  };

  // Write each lane's name at its line's end; names that would touch are moved apart, around where the lines are.
  const named = (ends, values, log) => {
    if (!ends.length) return [];
    const height = (value) => (log ? Math.log10(Math.max(value, 1e-9)) : value);
    const all = values.map(height), low = Math.min(...all), span = Math.max(...all) - low || 1;
    const sorted = [...ends].sort((a, b) => a.y - b.y);
    const heights = sorted.map((end) => (PLOT_HEIGHT * (height(end.y) - low)) / span);
    const apart = [...heights];
    for (let i = 1; i < apart.length; i += 1) apart[i] = Math.max(apart[i], apart[i - 1] + NAME_HEIGHT);
    const drift = (apart.reduce((a, b) => a + b) - heights.reduce((a, b) => a + b)) / apart.length;
    return sorted.map((end, i) => ({
      x: end.x, y: height(end.y), text: `<b>${end.name}</b>`, xanchor: 'left', xshift: 9, showarrow: false,
      yshift: Math.round(apart[i] - drift - heights[i]), font: { color: end.color, size: 15 },
    }));
  };

  class Race {
    constructor(root) {
      this.root = root;
      this.options = { axis: 'steps', weight: 0.9, log: false, until: Infinity };
      const part = (name) => root.querySelector(`[data-part=${name}]`);
      this.parts = Object.fromEntries(['loss', 'accuracy', 'scrub', 'at', 'replay', 'speed'].map((name) => [name, part(name)]));
      root.addEventListener('input', (event) => this.chosen(event.target));
      this.parts.replay.addEventListener('click', () => this.replay());
      for (const kind of ['png', 'svg', 'html']) part(kind).addEventListener('click', () => this.save(kind));
      root.race = this;
    }

    chosen(input) {
      if (input.name.startsWith('axis')) this.options.axis = input.value;
      if (input.name === 'smoothing') this.options.weight = Number(input.value);
      if (input.name === 'log') this.options.log = input.checked;
      if (input.name === 'scrub') { this.stopReplay(); this.scrub(Number(input.value)); return; }
      this.draw();
    }

    take(value) {
      if (!value || !value.view) return;
      const other = this.value && this.value.run !== value.run;
      const earlier = Object.entries(value.view.earlier).map(([name, run]) => [name, { ...run, lanes: lanes(run.lanes) }]);
      this.value = { ...value, view: { ...value.view, lanes: lanes(value.view.lanes), earlier: Object.fromEntries(earlier) } };
      if (other) { this.stopReplay(); this.options.until = Infinity; }
      this.parts.scrub.max = value.view.steps || 1;
      if (this.options.until === Infinity) this.parts.scrub.value = this.last();
      this.say();
      this.draw();
    }

    last() {
      return Math.max(0, ...Object.values(this.value.view.lanes).map((lane) => lane.loss?.steps.at(-1) || 0));
    }

    scrub(step) {
      this.options.until = step >= this.last() ? Infinity : step;
      this.parts.scrub.value = step;
      this.say();
      this.draw();
    }

    say() {
      const { until } = this.options, replaying = this.timer ? 'replay, ' : '';
      const step = until === Infinity ? this.last() : until;
      this.parts.at.textContent = `${replaying}step ${step.toLocaleString('en')} of ${(this.value.view.steps || 0).toLocaleString('en')}`;
    }

    // The whole run in `seconds`, from its first step, on this page alone.
    replay() {
      if (this.timer) { this.stopReplay(); this.scrub(this.last()); return; }
      const seconds = Number(this.parts.speed.value), from = performance.now();
      this.parts.replay.textContent = 'End replay';
      this.timer = setInterval(() => {
        const step = Math.ceil((this.last() * (performance.now() - from)) / (1000 * seconds));
        if (step >= this.last()) this.stopReplay();
        this.scrub(Math.min(step, this.last()));
      }, 100);
    }

    stopReplay() {
      clearInterval(this.timer);
      this.timer = undefined;
      this.parts.replay.textContent = 'Replay';
    }

    figure(kind) {
      const { frames, view } = this.value, { axis, log, until } = this.options;
      const data = [], ends = [], values = [];
      const add = (lane, curve, batch, style, extra = {}) => {
        const count = shown(curve, until), y = (style.y || curve.values).slice(0, count), x = xs(curve, axis, batch).slice(0, count);
        if (!count) return;
        values.push(...y);
        data.push({ type: 'scatter', x, y, mode: 'lines', ...extra });
        if (style.end) ends.push({ x: x.at(-1), y: y.at(-1), name: frames.lanes[lane].name, color: frames.lanes[lane].line.color });
      };
      for (const [name, run] of Object.entries(view.earlier)) {
        for (const [lane, curves] of Object.entries(run.lanes)) {
          const curve = curves[kind], { color } = frames.lanes[lane].line;
          if (!curve) continue;
          const y = kind === 'loss' ? smoothed(curve.values, this.options.weight) : curve.values;
          add(lane, curve, run.batch, { y }, {
            line: { color, width: 1.5, dash: 'dot' }, opacity: 0.7, hovertemplate: `${frames.lanes[lane].name}, ${name}: %{y}<extra></extra>`,
          });
        }
      }
      for (const [lane, curves] of Object.entries(view.lanes)) {
        const { line, name } = frames.lanes[lane], hovertemplate = `${name}: %{y:${kind === 'loss' ? '.3f' : '.1%'}}<extra></extra>`;
        const curve = curves[kind];
        if (!curve) continue;
        if (curve.low) {
          const count = shown(curve, until), x = xs(curve, axis, view.batch).slice(0, count);
          data.push({
            type: 'scatter', x: [...x, ...x.toReversed()], y: [...curve.high.slice(0, count), ...curve.low.slice(0, count).toReversed()],
            fill: 'toself', fillcolor: line.color, opacity: 0.15, line: { width: 0 }, mode: 'lines', hoverinfo: 'skip',
          });
        }
        if (kind === 'accuracy') {
          add(lane, curve, view.batch, { end: true }, { mode: 'lines+markers', line, marker: { size: 7 }, cliponaxis: false, hovertemplate });
          continue;
        }
        add(lane, curve, view.batch, {}, { line: { color: line.color, width: 1 }, opacity: 0.25, hoverinfo: 'skip' });
        add(lane, curve, view.batch, { y: smoothed(curve.values, this.options.weight), end: true }, { line, cliponaxis: false, hovertemplate });
        if (curves.held_out) {
          add(lane, curves.held_out, view.batch, {}, {
            mode: 'markers', marker: { size: 8, symbol: 'circle-open', color: line.color, line: { width: 2 } },
            hovertemplate: `${name}, held out: %{y:.3f}<extra></extra>`, cliponaxis: false,
          });
        }
      }
      const layout = structuredClone(frames[kind]);
      layout.xaxis.title = { ...layout.xaxis.title, text: frames.axes[axis] };
      if (axis !== 'seconds' && view.steps) layout.xaxis.range = [0, view.steps * (axis === 'images' ? view.batch : 1)];
      layout.yaxis.type = kind === 'loss' && log ? 'log' : 'linear';
      layout.uirevision = `${this.value.run} ${axis} ${log}`;  // zoom stays until something else is drawn
      layout.annotations = named(ends, values, kind === 'loss' && log);
      layout.shapes = axis === 'seconds' ? [] : view.marks.filter((mark) => mark.step <= until).map((mark) => ({
        type: 'line', yref: 'paper', y0: 0, y1: 1, x0: mark.step * (axis === 'images' ? view.batch : 1),
        x1: mark.step * (axis === 'images' ? view.batch : 1), line: { color: '#6B6660', width: 1, dash: 'dash' },
        label: { text: mark.text, textposition: 'end', textangle: 0, font: { size: 14 } },
      }));
      return { data, layout };
    }

    draw() {
      if (!this.value) return;
      for (const kind of ['loss', 'accuracy']) {
        const chart = this.parts[kind];
        window.drawChart(chart, this.figure(kind));
        if (chart.on && !chart.linked) {
          chart.linked = true;
          chart.on('plotly_hover', (event) => this.cross(chart, event.points[0]?.x));
          chart.on('plotly_unhover', () => this.others(chart).forEach((other) => window.Plotly.Fx.unhover(other)));
        }
      }
    }

    others(chart) {
      return [this.parts.loss, this.parts.accuracy].filter((other) => other !== chart && other._fullLayout);
    }

    // One crosshair: what is pointed at in one chart is read off in the other too.
    cross(chart, x) {
      if (this.crossing || x === undefined) return;
      this.crossing = true;
      this.others(chart).forEach((other) => window.Plotly.Fx.hover(other, { xval: x }, 'xy'));
      this.crossing = false;
    }

    async save(kind) {
      if (kind !== 'html') {
        for (const name of ['loss', 'accuracy']) {
          await window.Plotly.downloadImage(this.parts[name], { format: kind, filename: `lora-lab-${name}`, width: 1000, height: 560, scale: kind === 'png' ? 2 : 1 });
        }
        return;
      }
      const plotly = await (await fetch('front/plotly.min.js')).text();
      const figures = ['loss', 'accuracy'].map((name) => this.figure(name));
      const draw = `for (const figure of ${JSON.stringify(figures).replaceAll('<', '\\u003c')}) {
        const div = document.body.appendChild(document.createElement('div')); Plotly.newPlot(div, figure.data, figure.layout, { responsive: true }); }`;
      const page = `<!doctype html><meta charset="utf-8"><title>LoRA Lab</title><body><script>${plotly}</scr` + `ipt><script>${draw}</scr` + 'ipt>';
      const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(new Blob([page], { type: 'text/html' })), download: 'lora-lab-race.html' });
      link.click();
      URL.revokeObjectURL(link.href);
    }
  }

  window.drawRace = (root, value) => (root.race || new Race(root)).take(value);
})();
