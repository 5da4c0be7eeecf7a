// Shows the curve of the target that is chosen.
const i = chosen.options.indexOf(chosen.value);
shown.data = Object.fromEntries(Object.entries(every.data).map(([name, all]) => [name, all[i]]));
