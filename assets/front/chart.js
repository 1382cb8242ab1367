// Draws a figure in place: keeps the chart, its zoom and its legend choices, and follows the page's theme.
(() => {
  const holders = new Map();

  const toned = (figure) => {
    if (!document.body.classList.contains('dark')) return structuredClone(figure);
    let text = JSON.stringify(figure);
    for (const [paper, dark] of Object.entries(window.labDarkTones || {})) text = text.replaceAll(paper, dark);
    return JSON.parse(text);
  };

  // Lines of text with numbers -> numbers.
  window.chartRows = (text) => text.split('\n').filter(Boolean).map((row) => row.split(' ').map(Number));

  // A figure's JSON, or that and rows "x y y ..." that its lines are made of.
  window.chartFigure = (value) => {
    if (!value) return null;
    if (typeof value === 'string') return JSON.parse(value);
    const { data, layout } = JSON.parse(value[0]), rows = window.chartRows(value[1]), column = (i) => rows.map((row) => row[i]);
    return { data: data.map((line, i) => ({ ...line, x: column(0), y: column(i + 1) })), layout };
  };

  window.drawChart = (holder, figure) => {
    if (!holder || !window.Plotly) return;
    if (!figure || !figure.data) {
      window.Plotly.purge(holder);
      holders.delete(holder);
      return;
    }
    holders.set(holder, figure);
    const drawn = toned(figure);
    window.Plotly.react(holder, drawn.data, { ...drawn.layout, autosize: true }, {
      responsive: true, displaylogo: false, modeBarButtonsToRemove: ['lasso2d', 'select2d', 'autoScale2d'],
    });
  };

  // The theme can change under a drawn chart; a tab that was hidden has no width to draw to until it is shown.
  new MutationObserver(() => holders.forEach((figure, holder) => window.drawChart(holder, figure)))
    .observe(document.body, { attributes: true, attributeFilter: ['class'] });
  const sizes = new ResizeObserver((entries) => entries.forEach((entry) => {
    if (entry.contentRect.width > 0 && entry.target._fullLayout) window.Plotly.Plots.resize(entry.target);
  }));
  const draw = window.drawChart;
  window.drawChart = (holder, figure) => { draw(holder, figure); sizes.observe(holder); };
})();
