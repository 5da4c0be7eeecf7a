// In a narrow window panels keep their room: wide legends have one column and their figures become higher by so many lines, tools stand
// above, colours have no title, axes fewer ticks, and no panel leaves room for what is around another.
const LINE = 23, NARROW = 640, usual = new Map();
function become(model, changes, narrow) {
  if (!usual.has(model.id)) usual.set(model.id, Object.fromEntries(Object.keys(changes).map((name) => [name, model[name]])));
  model.setv(narrow ? changes : usual.get(model.id));
}
function fit() {
  const narrow = document.documentElement.clientWidth < NARROW;  // innerWidth grows with what is too wide
  for (const document of Bokeh.documents) {
    for (const figure of document._all_models.values()) {
      if (figure.type !== "Figure") continue;
      const first = !usual.has(figure.id), legend = figure.below.find((part) => part.type === "Legend" && (usual.has(part.id) || part.ncols > 1));
      const changes = figure.toolbar_location === null ? {frame_align: false} : {frame_align: false, toolbar_location: "above"};
      if (legend !== undefined) {
        const lines = legend.items.length, columns = usual.get(legend.id)?.ncols ?? legend.ncols;
        if (first || narrow) changes.height = (usual.get(figure.id)?.height ?? figure.height) + LINE * (lines - Math.ceil(lines / columns));
        become(legend, {ncols: 1}, narrow);
      }
      become(figure, changes, narrow);
      for (const bar of figure.right.filter((part) => part.type === "ColorBar")) become(bar, {title: null}, narrow);
      for (const axis of figure.below.filter((part) => part.ticker?.desired_num_ticks)) become(axis.ticker, {desired_num_ticks: 3}, narrow);
    }
  }
}
function begin() {
  if (!Bokeh.documents.length) return setTimeout(begin, 50);
  fit();
  window.addEventListener("resize", fit);
}
document.addEventListener("DOMContentLoaded", begin);
