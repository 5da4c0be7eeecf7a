// Two pooled tasks of d features and one noise, in the limit of many features (general-predictor of mtlsim.theory). Half of the
// features have the variance kappa in the source and half 1 / kappa; in the target all have 1. The plane of the tasks has one
// direction in each half: the target points along the first, the source at an angle to it.
const d = setting.n_features, n_target = setting.n_target, half = d / 2;

// A_i (1 + tr(Sigma_i K^-1)) = n_i with K = A_1 Sigma_1 + A_2 Sigma_2: Newton steps from plain ones
function amounts_of(n_source, kappa) {
  const n = [n_source, n_target], spectra = [[kappa, 1 / kappa], [1, 1]];
  const inverse = (A) => [0, 1].map((h) => 1 / (A[0] * spectra[0][h] + A[1] * spectra[1][h]));
  const trace = (i, K) => half * (spectra[i][0] * K[0] + spectra[i][1] * K[1]);
  const pair = (i, l, K) => half * (spectra[i][0] * spectra[l][0] * K[0] ** 2 + spectra[i][1] * spectra[l][1] * K[1] ** 2);
  let A = [...n];
  for (let step = 0; step < 4; step++) {
    const K = inverse(A);
    A = [0, 1].map((i) => n[i] / (1 + trace(i, K)));
  }
  for (let step = 0; step < 12; step++) {
    const K = inverse(A);
    const off = [0, 1].map((i) => A[i] * (1 + trace(i, K)) - n[i]);
    const J = [0, 1].map((i) => [0, 1].map((l) => (i === l ? 1 + trace(i, K) : 0) - A[i] * pair(i, l, K)));
    const det = J[0][0] * J[1][1] - J[0][1] * J[1][0];
    const move = [(J[1][1] * off[0] - J[0][1] * off[1]) / det, (J[0][0] * off[1] - J[1][0] * off[0]) / det];
    A = [0, 1].map((i) => Math.max(A[i] - move[i], A[i] / 10));
  }
  const K = inverse(A);
  const effects = [0, 1].map((l) => A[l] ** 2 / n[l]);
  const system = [0, 1].map((i) => [0, 1].map((l) => (i === l ? 1 : 0) - pair(i, l, K) * effects[l]));
  const det = system[0][0] * system[1][1] - system[0][1] * system[1][0];
  const solve = (b) => [(system[1][1] * b[0] - system[0][1] * b[1]) / det, (system[0][0] * b[1] - system[1][0] * b[0]) / det];
  return {A, K, effects, spectra, solve};
}

// Where the pooled estimate stands, and its error: what the noise makes of it, and what the other task adds
function together(found, angle, noise) {
  const {A, K, effects, spectra, solve} = found;
  const tasks = [[Math.cos(angle), Math.sin(angle)], [1, 0]];
  const mean = [0, 1].map((h) => K[h] * (A[0] * spectra[0][h] * tasks[0][h] + A[1] * spectra[1][h] * tasks[1][h]));
  const shift = [0, 1].map((i) => spectra[i][0] * (mean[0] - tasks[i][0]) ** 2 + spectra[i][1] * (mean[1] - tasks[i][1]) ** 2);
  const of_noise = solve([noise ** 2, noise ** 2]);
  const spread = [0, 1].map((h) => K[h] ** 2 * (effects[0] * spectra[0][h] * of_noise[0] + effects[1] * spectra[1][h] * of_noise[1]));
  return {mean, tasks, spread, variance: of_noise[1] - noise ** 2, bias: solve(shift)[1]};
}

const degrees = angle.value, noise_now = noise.value, kappa = 2 ** covariance.value;
const n_source = setting.rows[rows.value];
const alone = noise_now ** 2 * d / (n_target - d);
const now = together(amounts_of(n_source, kappa), degrees * Math.PI / 180, noise_now);
const saved = alone - now.variance, gain = saved - now.bias;
numbers.data = {risk_alone: [alone], risk_together: [now.variance + now.bias], variance_saved: [saved], bias_brought: [now.bias], gain: [gain]};

// the plane: both tasks, where the estimate of the target stands on average, and how the noise spreads it
const turn = Array.from({length: 73}, (_, i) => i * Math.PI / 36);
const ring = (centre, radii) => [turn.map((t) => centre[0] + radii[0] * Math.cos(t)), turn.map((t) => centre[1] + radii[1] * Math.sin(t))];
const per_direction = Math.sqrt(alone / d);
const clouds = [ring([1, 0], [per_direction, per_direction]), ring(now.mean, now.spread.map(Math.sqrt))];
const rows_seen = ring([0, 0], [0.35 * Math.sqrt(kappa), 0.35 / Math.sqrt(kappa)]);
ellipses.data = {xs: [clouds[0][0], clouds[1][0]], ys: [clouds[0][1], clouds[1][1]], colour: ellipses.data.colour, name: ellipses.data.name};
arrows.data = {x: [now.tasks[1][0], now.tasks[0][0]], y: [now.tasks[1][1], now.tasks[0][1]], colour: arrows.data.colour, name: arrows.data.name};
source_rows.data = {x: rows_seen[0], y: rows_seen[1]};
pull.data = {x: [1, now.mean[0]], y: [0, now.mean[1]]};

// the bars: what the gain is made of
bars.data = {name: bars.data.name, colour: [...bars.data.colour.slice(0, 2), gain > 0 ? bars.data.colour[0] : bars.data.colour[1]],
             value: [100 * saved / alone, -100 * now.bias / alone, 100 * gain / alone]};

// the map over angle and source rows, at this noise and covariance, and the line on which the gain is zero
const shade = [], zero_x = [], zero_y = [];
for (const row of setting.map_rows) {
  const found = amounts_of(row, kappa);
  let before = null;
  for (const at of setting.map_angles) {
    const there = together(found, at * Math.PI / 180, noise_now);
    const share = 1 - (there.variance + there.bias) / alone;
    shade.push(Math.max(-1, Math.min(1, share)));
    if (before !== null && before.share > 0 !== share > 0) {
      zero_x.push(before.at + (at - before.at) * before.share / (before.share - share));
      zero_y.push(row);
    }
    before = {at, share};
  }
}
map.data = {...map.data, shade};
zeros.data = {x: zero_x, y: zero_y};
place.data = {x: [degrees], y: [n_source]};

const percent = (share) => `${Math.abs(100 * share).toPrecision(3)} %`;
const verdict = gain > 0 ? "Sharing helps" : "Sharing hurts";
words.text = `<b style="color: ${bars.data.colour[2]}">${verdict}.</b> The target's error is ${alone.toPrecision(4)} alone and ` +
  `${(now.variance + now.bias).toPrecision(4)} together. The source's rows take away ${percent(saved / alone)} of it as variance, and its ` +
  `other parameters bring ${percent(now.bias / alone)} as bias: ${gain > 0 ? "less" : "more"} than what is saved.`;
