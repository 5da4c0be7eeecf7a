// Shows the block of cells at the sliders' places, and of it the row that the curve is drawn of.
let block = 0;
for (const slider of sliders) block = block * slider.tags[0] + slider.value;
const row = rows === null ? 0 : rows.value;

const n_x = along.data.x.length;
const size = n_x * n_y;
const part = (first, length) => Object.fromEntries(
  Object.entries(all.data).map(([name, values]) => [name, values.slice(first, first + length)]));

if (cells !== null) {
  cells.data = {...shape.data, ...part(block * size, size)};
  zeros.data = Object.fromEntries(Object.entries(borders.data).map(([name, blocks]) => [name, blocks[block]]));
  marked.data = {y: [shape.data.y[row * n_x]]};
}
curve.data = {...along.data, ...part(block * size + row * n_x, n_x)};
