// What the mechanism that is chosen shows, and the dose at the slider's place, in words too.
const own = every[chosen.value], labels = own.doses.label;
if (x_range.factors.join() !== labels.join() || names[chosen.value] !== x_axis.axis_label) {
  doses.data = own.doses;
  others.data = own.others;
  x_range.factors = labels;
  y_range.factors = [...own.others.label].reverse();
  other.height = heights[chosen.value];
  x_axis.axis_label = names[chosen.value];
  slider.end = labels.length - 1;
  slider.value = Math.min(slider.value, labels.length - 1);
}
const i = Math.min(slider.value, labels.length - 1), show = (value) => value.toPrecision(3);
place.data = Object.fromEntries(Object.entries(own.doses).map(([name, values]) => [name, [values[i]]]));
words.text = `${names[chosen.value]} = ${labels[i]}: effect ${show(own.doses.mean[i])} (${show(own.doses.low[i])} to ${show(own.doses.high[i])})`;
