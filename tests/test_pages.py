"""Pages: what a stored sweep and the lesson show in a real browser, and that nothing in them asks another address."""

import html
import json
import shutil
import tomllib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mtlsim as mtl
from mtlsim.commands.pages import Explore
from mtlsim.configuration import build, sweep_arguments
from mtlsim.experiments._experiment import Options, find_experiment
from mtlsim.experiments.mechanisms import as_table
from mtlsim.mechanisms import Trial, find_mechanism
from mtlsim.mechanisms._clauses import CLAUSES, Clause
from mtlsim.mechanisms._tried import Effect
from mtlsim.pages._cells import choose
from mtlsim.pages._cells import columns_of as cell_columns
from mtlsim.pages._cells import predicted as predicted_on
from mtlsim.pages.explainer import N_FEATURES, N_TARGET, ROWS, TRY, explainer
from mtlsim.pages.explore import explore
from mtlsim.pages.mechanisms import explore_mechanisms
from mtlsim.reproduction import reproduce
from mtlsim.results.dataset import save
from mtlsim.results.grid import make_grid
from mtlsim.results.plan import Plan
from mtlsim.results.settings import describe
from mtlsim.results.zero_line import zero_lines

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
DRIVER = shutil.which("chromedriver")
X, Y, PANEL = "tasks.cosine", "tasks.n_samples[0]", "tasks.noise"

TOML = """
[tasks]
n_features = 4
n_samples = [30, 12]
noise = 1.0
[tasks.design]
kind = "power_law"
exponent = 1.0
[cell]
sharing = "pooled"
[grid]
"tasks.cosine" = [-1.0, 0.0, 0.6, 0.9, 1.0]
"tasks.n_samples[0]" = {from = 8, to = 800, count = 4, spacing = "geometric", whole = true}
"tasks.noise" = [0.5, 2.0]
[sweep]
n_seeds = 12
seed = 3
"""


@pytest.fixture(scope="module")
def swept():
    arguments, options = sweep_arguments(tomllib.loads(TOML))
    return mtl.sweep(*arguments, **options, progress=False)


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium, with what its console says and what it asks for."""
    if not (CHROMIUM and DRIVER):
        pytest.skip("no Chromium with its driver is installed here; .ci/run installs Debian's")
    selenium = pytest.importorskip("selenium.webdriver")
    options = selenium.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1000,1600"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = selenium.Chrome(options=options, service=selenium.ChromeService(DRIVER))
    yield driver
    driver.quit()


def open_page(browser, path: Path) -> None:
    """The page, drawn; fails on a warning of its console, and on a request that leaves it."""
    browser.get(path.resolve().as_uri())
    wait_for(browser, "return window.Bokeh !== undefined && Bokeh.documents.length > 0 && Bokeh.documents[0].is_idle")
    assert [entry for entry in browser.get_log("browser") if entry["level"] != "INFO"] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert asked and all(url.startswith(("file:", "data:")) for url in asked), asked


def wait_for(browser, script: str) -> object:
    from selenium.webdriver.support.ui import WebDriverWait

    return WebDriverWait(browser, 30, poll_frequency=0.05).until(lambda driver: driver.execute_script(script))


def columns_of(browser, name: str) -> dict:
    """The columns of a source as the browser holds them now; what is not finite is None."""
    return browser.execute_script(
        "return Object.fromEntries(Object.entries(Bokeh.documents[0].get_model_by_name(arguments[0]).data).map("
        "([name, values]) => [name, Array.from(values)]))",
        name,
    )


def set_slider(browser, name: str, value: float) -> None:
    browser.execute_script("Bokeh.documents[0].get_model_by_name(arguments[0]).value = arguments[1]", name, value)


def text_under_mouse(browser, figure: str, x: float | str, y: float | str) -> str:
    """What the tooltip says where a figure has these coordinates, with the mouse itself moved there."""
    from selenium.webdriver import ActionChains

    left, top = browser.execute_script(
        "const view = Bokeh.index.find_one(Bokeh.documents[0].get_model_by_name(arguments[0]));"
        "const box = view.canvas_view.el.getBoundingClientRect();"
        "return [box.x + view.frame.x_scale.compute(arguments[1]), box.y + view.frame.y_scale.compute(arguments[2])]",
        figure, x, y,
    )  # fmt: skip
    actions = ActionChains(browser)
    for step in (3, 0):
        actions.w3c_actions.pointer_action.move_to_location(round(left) + step, round(top))
    actions.perform()
    return wait_for(
        browser,
        "const is_tip = (node) => node.classList.contains('bk-tooltip-content');"
        "const texts = (root) => [...root.querySelectorAll('*')].flatMap((node) => [...(is_tip(node) ? [node.textContent] : []),"
        "...(node.shadowRoot ? texts(node.shadowRoot) : [])]); return texts(document).join(' ')",
    )


@pytest.fixture(scope="module")
def explored(swept, tmp_path_factory):
    prediction = mtl.theory.pooled_least_squares(reproduce(swept).cell)
    return explore(swept, tmp_path_factory.mktemp("pages") / "map.html", predictions=[prediction], again="mtlsim sweep again.toml")


def test_a_page_holds_all_it_needs_in_few_bytes(explored):
    text = explored.read_text(encoding="utf-8")
    assert "<script src" not in text and "<link" not in text
    assert len(text) < 3e6 and "mtlsim sweep again.toml" in text and "&quot;n_features&quot;: 4" in text


def test_sliders_move_through_the_numbers_of_the_file(browser, explored, swept):
    open_page(browser, explored)
    ends = "const r = Bokeh.documents[0].get_model_by_name('map').x_range; return [r.start, r.end]"
    assert browser.execute_script(ends) == [-1, 1]  # there is no other cosine
    for block, noise in enumerate(swept[PANEL].values):
        set_slider(browser, PANEL, block)
        wanted = swept.sel({PANEL: noise}).transpose(Y, X, ...)
        cells = columns_of(browser, "cells")
        np.testing.assert_array_equal(cells["mean"], wanted["gain_mean"].values.ravel())
        np.testing.assert_array_equal(cells["low"], wanted["gain_low"].values.ravel())
        assert cells["verdict"] == [mtl.core.verdict.WORDS[int(s)] for s in wanted["gain_sign"].values.ravel()]
        for row in (0, 3):
            set_slider(browser, Y, row)
            np.testing.assert_array_equal(columns_of(browser, "curve")["mean"], wanted["gain_mean"].values[row])


def test_theory_on_the_page_is_what_the_statement_predicts(browser, explored, swept):
    open_page(browser, explored)
    set_slider(browser, PANEL, 1)
    set_slider(browser, Y, 2)
    cell = reproduce(swept).cell
    grid = {X: swept[X].values, Y: [float(swept[Y].values[2])], PANEL: [2.0]}
    wanted = mtl.predict(mtl.theory.pooled_least_squares(cell), grid)["gain"].values.ravel()
    np.testing.assert_allclose(columns_of(browser, "curve")["theory_0"], wanted, rtol=1e-12)


def test_the_mouse_on_a_cell_shows_the_numbers_of_the_file(browser, explored, swept):
    open_page(browser, explored)
    one = swept.isel({X: 1, Y: 2, PANEL: 0})
    said = text_under_mouse(browser, "map", float(one[X]), float(one[Y]))
    level = f"{float(one['gain_low']):.5g} to {float(one['gain_high']):.5g}"
    for part in (f"gain: {float(one['gain_mean']):.6g}", level, mtl.core.verdict.WORDS[int(one["gain_sign"])], "ok 100 %"):
        assert part in said.replace("\N{MINUS SIGN}", "-"), (part, said)


def test_a_sweep_along_words_or_one_parameter_is_shown_too(browser, swept, tmp_path):
    along = swept.isel({Y: 1, PANEL: 0})
    open_page(browser, explore(along, tmp_path / "curve.html", quantity="risk_multi"))
    drawn = columns_of(browser, "curve")
    np.testing.assert_allclose(drawn["mean"], along["risk_multi"].mean("seed").values, rtol=1e-12)
    words = swept.assign_coords({PANEL: ["quiet", "loud"]})
    open_page(browser, explore(words, tmp_path / "words.html", x=X, y=PANEL))
    assert columns_of(browser, "cells")["y_text"][-1] == "loud"


def test_a_click_on_the_head_of_a_report_sorts_it(browser, tmp_path):
    from mtlsim.verification.page import SORT

    values = ["3e-08", "12", "nan", "-1.5"]
    rows = "".join(f"<tr><td>{name}</td><td>{value}</td></tr>" for name, value in zip("badc", values, strict=True))
    head = '<thead><tr><th data-kind="">name</th><th data-kind="number">score</th></tr></thead>'
    page = tmp_path / "table.html"
    page.write_text(f'<table class="sorted">{head}<tbody>{rows}</tbody></table><script>{SORT}</script>')
    browser.get(page.as_uri())
    first = lambda: "".join(cell.text for cell in browser.find_elements("css selector", "td:first-child"))
    for column, orders in ((1, ("abcd", "dcba")), (2, ("cbad", "dabc"))):
        for order in orders:
            browser.find_element("css selector", f"th:nth-child({column})").click()
            assert first() == order


@jax.jit
def predicted(angle, noise, n_source, log_kappa) -> dict:
    """The lesson's setting, by the library."""
    half, turn, kappa = N_FEATURES // 2, jnp.deg2rad(angle), 2.0**log_kappa
    parameters = jnp.zeros((2, N_FEATURES)).at[1, 0].set(1).at[0, 0].set(jnp.cos(turn)).at[0, half].set(jnp.sin(turn))
    design = mtl.Diagonal(jnp.repeat(jnp.stack([kappa, 1 / kappa]), half)), mtl.Isotropic()
    tasks = mtl.LinearTasks(N_FEATURES, (n_source, N_TARGET), noise=noise, design=design, parameters=parameters)
    return mtl.theory.general_predictor(mtl.Transfer(tasks, sharing="pooled"))(key=jax.random.key(0))


def gain_of_library(*place: float) -> dict:
    return {name: float(value) for name, value in predicted(*map(float, place)).items()}


def test_angles_of_the_lesson_are_seen_as_they_are(browser, tmp_path):
    """A step along and a step across are as long on the screen, in a wide and in a narrow window."""
    page = explainer(tmp_path / "lesson.html")
    for width in (1000, 360):
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": 1800, "deviceScaleFactor": 1, "mobile": width < 640}
        )
        try:
            open_page(browser, page)
            across, up = wait_for(
                browser,
                "const every = [...Bokeh.documents[0]._all_models.values()];"
                "const one = every.find((one) => one.title?.text === 'The plane of both tasks');"
                "const size = (range, pixels) => pixels / (range.end - range.start);"
                "return one.inner_height && [size(one.x_range, one.inner_width), size(one.y_range, one.inner_height)]",
            )
            assert across == pytest.approx(up, rel=0.02) and across > 50
        finally:
            browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


PLACES = [(30, 1.0, 12, 0.0), (70, 0.3, 0, -3.0), (180, 3.0, 30, 2.5), (110, 0.1, 17, 0.75)]


def test_the_lesson_computes_what_the_library_predicts(browser, tmp_path):
    """To 1e-6, and split so that what is saved is what equal tasks would gain."""
    open_page(browser, explainer(tmp_path / "lesson.html"))
    for angle, noise, row, log_kappa in PLACES:
        for name, value in {"angle": angle, "noise": noise, "rows": row, "covariance": log_kappa}.items():
            set_slider(browser, name, value)
        wanted = gain_of_library(angle, noise, ROWS[row], log_kappa)
        shown = {name: values[0] for name, values in columns_of(browser, "numbers").items()}
        scale = wanted["risk_single"] + wanted["risk_multi"]
        for ours, theirs in {"risk_alone": "risk_single", "risk_together": "risk_multi", "gain": "gain"}.items():
            assert abs(shown[ours] - wanted[theirs]) <= 1e-6 * scale, (ours, angle, noise, row, log_kappa)
        assert abs(shown["variance_saved"] - shown["bias_brought"] - shown["gain"]) <= 1e-12 * scale
        alike = gain_of_library(0, noise, ROWS[row], log_kappa)["gain"]
        assert abs(shown["variance_saved"] - alike) <= 1e-6 * scale
        words = browser.execute_script("return Bokeh.documents[0].get_model_by_name('words').text")
        assert ("Sharing helps" in words) == (wanted["gain"] > 0)


def test_what_the_lesson_asks_its_readers_to_try_is_so():
    for what, _, places in TRY:
        for place, sign in places.items():
            assert np.sign(gain_of_library(*place)["gain"]) == sign, (what, place)


def test_a_result_says_the_toml_that_makes_it_again(swept):
    made = reproduce(swept)
    settings = tomllib.loads(made.toml)
    assert "mtlsim sweep" in made.command and settings["sweep"]["seed"] == 3
    arguments, options = sweep_arguments(settings)
    again = mtl.sweep(*arguments, **options, progress=False)
    np.testing.assert_array_equal(again["gain"].values, swept["gain"].values)
    assert again.attrs["settings"] == swept.attrs["settings"]


WITH_MORE = {
    "an architecture with fields": {"tasks": {"n_features": 4, "n_samples": [9, 9]}, "cell": {"sharing": {"name": "soft"}}},
    "hyperparameters": {
        "tasks": {"n_features": 4, "n_samples": [9, 9], "shared_covariates": True},
        "cell": {"scheme": "gradnorm", "hyperparameters": {"alpha": 0.5}},
    },
    "parameters": {"tasks": {"n_features": 2, "n_samples": [9, 9], "parameters": [[1.0, 0.0], [0.5, 2.0]]}, "cell": {"rank": 1}},
    "a scheme": {"tasks": {"n_features": 4, "n_samples": [9, 9], "shared_covariates": True}, "cell": {"scheme": "mgda"}},
    "tasks of its own": {"cell": {"kind": "label-shift"}},
    "covariances of each task": {
        "tasks": {
            "n_features": 2,
            "n_samples": [9, 9],
            "design": [{"kind": "isotropic"}, {"kind": "spiked", "condition_number": 9.0}],
        },
        "cell": {"rank": 1},
    },
    "a design of numbers": {
        "tasks": {"n_features": 2, "n_samples": [9, 9], "design": {"kind": "from_matrix", "matrix": [[2.0, 0.5], [0.5, 1.0]]}},
        "cell": {"rank": 1},
    },
    "units": {"tasks": {"family": "relu", "n_features": 3, "n_samples": [20, 20]}, "cell": {"rank": 1}},
}


@pytest.mark.parametrize("settings", WITH_MORE.values(), ids=WITH_MORE.keys())
def test_settings_of_every_kind_come_back(settings):
    cell, grid = build(settings)
    said = describe_of(cell, grid, 5, 2)
    made = reproduce(swept_like(said))
    again = tomllib.loads(made.toml)
    assert mtl.results.settings.describe_value(build(again)[0]) == said["cell"]
    assert again["sweep"] == {"n_seeds": 5, "level": 0.95, "seed": 7, "budget": 10}


def describe_of(cell, grid: dict, n_seeds: int, n_rounds: int = 1) -> dict:
    """What a sweep of the cell would say of itself, of the seed 7 with more than one round, else 0."""
    key = jax.random.key(7 if n_rounds > 1 else 0)
    said = describe(cell, make_grid(cell, grid), Plan(1, 1, n_seeds, n_rounds, 1, 1, 1), key, 0.95, {}, "draws")
    return json.loads(json.dumps(said))


def swept_like(settings: dict):
    import xarray as xr

    return xr.Dataset(attrs={"settings": json.dumps(settings)})


def test_what_no_file_can_build_is_said_to_be_so(swept):
    settings = json.loads(swept.attrs["settings"])
    settings["cell"]["tasks"]["design"] = {"type": "FromMatrix", "matrix": {"shape": [9, 9], "sha256": "0"}}
    made = reproduce(swept_like(settings))
    assert made.cell is None and made.toml is None and "made in Python" in made.command
    settings["key"]["implementation"] = "rbg"
    assert "key" in reproduce(swept_like(settings)).command


def test_a_sweep_over_a_file_that_is_elsewhere_is_still_said():
    """As a page of it is made from any folder: no thing of the grid is needed for that."""
    cell = mtl.Transfer(mtl.LinearTasks(4, (30, 12)), sharing="pooled")
    settings = describe_of(cell, {"sharing": ["pooled", "hard"]}, 4)
    settings["axes"][0]["values"] = ["pooled", "gone.py"]
    made = reproduce(swept_like(settings))
    assert made.cell is not None and 'sharing = ["pooled", "gone.py"]' in made.toml


def test_float32_and_split_keys_are_not_made_again_by_a_command(swept):
    settings = json.loads(swept.attrs["settings"])
    assert "float32" in reproduce(swept_like(settings | {"float64": False})).command
    settings["key"]["data"] = [2**31, 5]
    assert "made in Python" in reproduce(swept_like(settings)).command


def test_a_figure_of_chosen_axes_is_made_again_by_its_command():
    experiment = find_experiment("transfer-map")
    for options in (Options(fast=True), Options(fast=True, x="noise", y="cosine", panels="rank")):
        setting = experiment.setting(options)
        said = describe_of(setting.cell, setting.grid, setting.n_seeds)
        data = swept_like(said)
        data.attrs |= {"experiment": "transfer-map", "model": "", **setting.attributes}
        words = [f"--{name} {getattr(options, name)}" for name in ("x", "y", "panels") if getattr(options, name)]
        assert reproduce(data).command == " ".join(["mtlsim figure transfer-map --fast", *words])
        said["level"] = 0.9
        assert reproduce(swept_like(said).assign_attrs({k: v for k, v in data.attrs.items() if k != "settings"})).cell is None


def test_cells_stand_where_their_values_are_in_whatever_order(swept):
    order = [2, 0, 1, 4, 3]
    mixed = columns_of_cells(swept.isel({X: order}))
    np.testing.assert_array_equal(mixed["mean"], columns_of_cells(swept)["mean"])


def columns_of_cells(data, quantity: str = "gain") -> dict:
    return cell_columns(choose(data, X, Y, quantity))


def test_other_outputs_are_crossed_where_tails_are_heavy_and_come_from_sums_too():
    cell = mtl.Transfer(mtl.LinearTasks(4, (30, 12), cosine=0.5, design=mtl.Isotropic(), relation="same"), sharing="pooled")
    grid = {"tasks.n_samples[1]": [5, 6, 12], "tasks.noise": [1.0, 2.0]}
    kept = {keep: mtl.sweep(cell, grid, 12, jax.random.key(1), keep=keep, progress=False) for keep in ("draws", "cells")}
    found = {keep: cell_columns(choose(data, None, None, "risk_single")) for keep, data in kept.items()}
    assert found["draws"]["hatch"].tolist() == ["x", "x", " ", " ", " ", " "] or "x" in found["draws"]["hatch"]
    np.testing.assert_array_equal(found["draws"]["hatch"], found["cells"]["hatch"])
    for part in ("mean", "low", "high"):
        np.testing.assert_allclose(found["draws"][part], found["cells"][part], rtol=1e-9)


def test_a_sweep_over_architectures_and_ranks_is_explored(tmp_path):
    cell = mtl.Transfer(mtl.LinearTasks(3, (20, 9), design=mtl.Isotropic(), relation="same"), sharing="pooled")
    found = mtl.sweep(cell, {"sharing": ["pooled", "soft"], "tasks.noise": [0.5, 2.0]}, 3, jax.random.key(6), progress=False)
    prediction = mtl.theory.pooled_least_squares(cell)
    gains = predicted_on(choose(found, None, None, "gain"), prediction).reshape(2, 2)
    rows = [str(name) for name in found["sharing"].values]
    assert np.isfinite(gains[rows.index("pooled")]).all() and np.isnan(gains[rows.index("soft")]).all()
    wanted = mtl.predict(prediction, {"tasks.noise": [0.5, 2.0]})["gain"].values
    np.testing.assert_allclose(gains[rows.index("pooled")], wanted, rtol=1e-12)


def test_zero_lines_run_where_the_function_is_zero():
    xs, ys = np.linspace(-2, 2, 41), np.linspace(-1, 3, 33)
    lines = zero_lines(xs, ys, xs[None, :] + 0.5 * ys[:, None] - 0.3)
    assert len(lines) == 1 and np.abs(lines[0][:, 0] + 0.5 * lines[0][:, 1] - 0.3).max() < 1e-12
    (line,) = zero_lines(np.array([10.0, 1000.0]), np.array([0.0, 1.0]), np.array([[1.0, -1.0], [1.0, -1.0]]))
    np.testing.assert_allclose(line[:, 0], 100)  # half way on a logarithmic axis
    assert zero_lines(xs, ys, xs[None, :] ** 2 + ys[:, None] ** 2 + 1) == []
    undecided = np.zeros((33, 41), bool)
    assert zero_lines(xs, ys, xs[None, :] + 0 * ys[:, None] - 0.01, undecided) == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"x": "tasks.angle"}, "x must be the name of an axis"),
        ({"x": X, "y": X}, "y must be another parameter than x"),
        ({"quantity": "risk"}, "quantity must be one of"),
    ],
)
def test_wrong_names_are_refused_in_one_sentence(swept, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        explore(swept, tmp_path / "page.html", **options)


def test_a_sweep_without_a_single_number_is_a_page_too(tmp_path):
    cell = mtl.Transfer(mtl.LinearTasks(9, (3, 4)))  # fewer rows than features in all
    lost = mtl.sweep(cell, {"tasks.noise": [0.5, 1.0], "tasks.cosine": [0.0, 0.5]}, 3, jax.random.key(0), progress=False)
    for quantity in ("gain", "risk_multi"):
        assert "degenerate 100 %" in explore(lost, tmp_path / f"{quantity}.html", quantity=quantity).read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="data must be a result of mtlsim.sweep, but is a str"):
        explore("map.nc", tmp_path / "page.html")


def test_outputs_of_a_cell_without_statuses_are_a_page(swept, tmp_path):
    bare = swept.drop_vars([name for name in swept.data_vars if name != "risk_multi"])
    assert "not said" in explore(bare, tmp_path / "page.html", quantity="risk_multi").read_text(encoding="utf-8")


def test_a_result_of_one_cell_and_a_wrong_file_name_are_refused(swept, tmp_path):
    with pytest.raises(ValueError, match="a sweep over one parameter or more"):
        explore(swept.isel({X: [0], Y: [0], PANEL: [0]}), tmp_path / "page.html")
    with pytest.raises(ValueError, match="ending in .html"):
        explore(swept, tmp_path / "page.htm")


def test_the_command_draws_the_statements_that_speak_of_the_cell(swept, tmp_path, capsys):
    from mtlsim.results.dataset import save

    save(swept, tmp_path / "map.nc")
    assert Explore(tmp_path / "map.nc", theory=("pooled-least-squares",)).run() == 0
    text = (tmp_path / "map.html").read_text(encoding="utf-8")
    assert "theory: pooled-least-squares" in text and "[tasks]" in text
    with pytest.raises(ValueError, match="of sharing 'hard'"):
        Explore(tmp_path / "map.nc", tmp_path / "b.html", theory=("free-heads",)).run()


def test_a_study_is_a_page_with_the_numbers_of_its_pairs(browser, tmp_path):
    rng = np.random.default_rng(0)
    theta, tasks = rng.normal(size=3), {}
    for name in ("first", "second", "third <b>"):
        X = rng.normal(size=(24, 3))
        tasks[name] = X, X @ theta + rng.normal(size=24)
    study = mtl.compare_tasks(tasks, n_splits=3)
    study.save(tmp_path / "study.nc")
    assert Explore(tmp_path / "study.nc").run() == 0
    page = tmp_path / "study.html"
    assert "third &lt;b&gt;" in page.read_text(encoding="utf-8")
    open_page(browser, page)
    pairs, own = columns_of(browser, "pairs"), study.data
    assert len(pairs["gain"]) == 6
    for source, target, gain in zip(pairs["source"], pairs["target"], pairs["gain"], strict=True):
        wanted = 100 * own["pair_gain"].sel(source=source, task=target) / own["risk_alone"].sel(task=target)
        assert gain == pytest.approx(float(wanted), rel=1e-12)
    said = text_under_mouse(browser, "targets of", float(columns_of(browser, "targets")["gain"][0]), "first")
    assert "target: first" in said
    frames, order = columns_of(browser, "frames"), [study.tasks[i] for i in np.argsort(own["group"].values, kind="stable")]
    groups = [group for group in study.grouping() if len(group) > 1]
    assert [set(order[int(a) : int(b)]) for a, b in zip(frames["left"], frames["right"], strict=True)] == [set(g) for g in groups]
    assert [3 - top for top in frames["top"]] == list(frames["left"]) and len(groups) == 1
    words = page.read_text(encoding="utf-8")
    assert f"Best groups: {{{', '.join(groups[0])}}} gains +".replace("<", "&lt;").replace(">", "&gt;") in words
    assert "<th>learn with</th>" in words and (not study.reasons or "Why what is said here may differ" in words)
    with pytest.raises(ValueError, match="left out for a study"):
        Explore(tmp_path / "study.nc", x="source").run()


def test_pages_are_readable_in_a_narrow_window(browser, explored, tmp_path):
    """On 360 pixels nothing is cut: no page is wider, every panel has room, and legends stay inside of their figures."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 1800, "deviceScaleFactor": 1, "mobile": True}
    )
    try:
        for page, n_panels in ((explored, 2), (explainer(tmp_path / "lesson.html"), 3)):
            open_page(browser, page)
            wait_for(browser, "return Bokeh.documents[0].is_idle")
            assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
            panels = browser.execute_script(
                "const models = [...Bokeh.documents[0]._all_models.values()].filter((one) => one.type === 'Figure');"
                "return models.map((one) => { const view = Bokeh.index.find_one(one); const canvas = view.canvas_view.bbox;"
                "const legends = one.below.filter((part) => part.type === 'Legend').map((part) => Bokeh.index.find_one(part).bbox);"
                "return [one.inner_width, one.inner_height, ...legends.map((box) => canvas.right - box.right)] })"
            )
            assert len(panels) == n_panels
            for width, height, *room in panels:
                assert width >= 110 and height >= 70 and all(right >= 0 for right in room)
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_mechanisms_are_a_page_with_their_clauses_and_effects(browser, tmp_path):
    """From made-up numbers: no draw is needed to see that they stand on the page."""
    clauses = tuple(Clause(name, "holds", 0.5 + i, 0.25, 0.75 + i, f"about {name} <b>") for i, name in enumerate(CLAUSES))
    trials = []
    for name, shift in (("tide", 0.0), ("eavesdropping", 10.0)):
        mechanism = find_mechanism(name)
        points = [("effect", "")] + [("dose", str(value)) for value in mechanism.dose.values]
        points += [("control", one) for one in mechanism.controls]
        points += [("opponent", f"x = {value}") for value in range(14, 0, -1)]
        effects = tuple(Effect(*point, shift + i, shift + i - 0.5, shift + i + 0.5) for i, point in enumerate(points))
        trials.append(Trial(mechanism, "confirmed" if name == "tide" else "undecided", clauses, (), 1, 0, 16, 0.1, effects))
    options = {"fast": True, "n_seeds": 40, "seed": 0}
    data = as_table(trials, {"options": options}).assign_attrs(experiment="mechanisms", claim="Two hold.", level=0.99)
    save(data, tmp_path / "mechanisms.nc")
    assert Explore(tmp_path / "mechanisms.nc").run() == 0
    text = (tmp_path / "mechanisms.html").read_text(encoding="utf-8")
    assert "mtlsim figure mechanisms --fast --seeds 40" in text and "about control &lt;b&gt;" in text
    assert (
        "4.5 (0.25 to 4.75)" in text
        and "the mean effect at the stated point is positive" in text
        and html.escape(find_mechanism("tide").claim) in text
        and "<h1>2 mechanisms, each by 5 clauses: 1 confirmed, none refuted, 1 undecided.</h1>" in text
        and "<b>Known of it:</b> tide-turns: A task" in text
    )
    open_page(browser, tmp_path / "mechanisms.html")
    words = "return Bokeh.documents[0].get_model_by_name('words').text"
    assert browser.execute_script(words) == "tilt = 0.0: effect 1 (0.5 to 1.5)"
    set_slider(browser, "mechanism", "eavesdropping")
    set_slider(browser, "dose", 2)
    assert browser.execute_script(words).endswith(": effect 13.0 (12.5 to 13.5)")
    doses, others = (columns_of(browser, name) for name in ("doses", "others"))
    lines = "const f = Bokeh.documents[0].get_model_by_name('others of'); return f.inner_height / f.y_range.factors.length"
    assert browser.execute_script(lines) > 26  # two lines of a label stand in their place
    assert doses["mean"][:3] == [11, 12, 13] and others["label"][-1] == "single task with x = 1"
    assert "effect: 12.000" in text_under_mouse(browser, "effects by dose", doses["label"][1], 12)
    older = data.drop_vars(["effects", "claim", "says", "inferred", "dose", "rule"])
    assert "Choose a mechanism" not in explore_mechanisms(older, tmp_path / "b.html").read_text(encoding="utf-8")
    with pytest.raises(ValueError, match="left out for mechanisms"):
        Explore(tmp_path / "mechanisms.nc", x="clause").run()
