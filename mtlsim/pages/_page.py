"""What every page is made of: a heading, words, models of bokeh with all code inside, and words below them."""

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtlsim.results.store import check_writable, require_path, write_whole

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1rem; color: #222 }
h1 { font-size: 1.4rem; line-height: 1.25 } h2 { font-size: 1.1rem; margin-top: 2rem }
summary { cursor: pointer; font-weight: 600 } details { margin: 1rem 0 }
pre { background: #f4f4f4; padding: .8rem; overflow-x: auto; font-size: 85% } dt { font-weight: 600 } dd { margin: 0 0 .4rem 1rem }
details { overflow-x: auto }
table { border-collapse: collapse; font-size: 90%; display: block; overflow-x: auto }
td, th { padding: .15rem .8rem .15rem 0; text-align: left; vertical-align: top }
"""
TEMPLATE = """
{% block preamble %}<meta name="viewport" content="width=device-width, initial-scale=1">{% endblock %}
{% block postamble %}<style>{{ style }}</style>{% endblock %}
{% block contents %}<h1>{{ heading | e }}</h1>
{{ before | safe }}{{ super() }}{{ after | safe }}<script>{{ narrow | safe }}</script>{% endblock %}"""
WIDTH = 860  # of what a page draws, at most
LEAST = 330  # of panels beside each other, before one goes below the other


def check_bokeh() -> None:
    """One sentence where the extra is not installed."""
    try:
        import bokeh  # noqa: F401
    except ImportError:
        raise ValueError(
            "a page must be drawn by bokeh, but it is not installed; run pip install 'mtlsim[pages]', or pip install bokeh."
        ) from None


def write_page(path: Path | str, heading: str, model: Any, before: str = "", after: str = "") -> Path:
    """The page at `path`, an .html file that asks nothing of any other address. before, after: HTML around the models."""
    from bokeh.embed import file_html
    from bokeh.resources import INLINE

    path = require_path(path, ".html")
    check_writable(path.parent, "path")
    narrow = Path(__file__).with_name("narrow.js").read_text(encoding="utf-8")
    words = {"heading": heading, "before": before, "after": after, "style": STYLE, "narrow": narrow}
    text = file_html(model, INLINE, heading, template=TEMPLATE, template_variables=words)
    write_whole(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), 4 * len(text))
    return path


def script(name: str, arguments: Mapping[str, Any]) -> Any:
    """A callback whose code is the file `name` beside this one, with these arguments."""
    from bokeh.models import CustomJS

    code = Path(__file__).with_name(name).read_text(encoding="utf-8")
    return CustomJS(args=dict(arguments), code=code)


def as_wide_as_the_page(most: int = WIDTH) -> dict[str, Any]:
    """Options of a model that fills the width of the window, up to so many pixels."""
    return {"sizing_mode": "stretch_width", "max_width": most}


def paragraph(text: str) -> str:
    return f"<p>{html.escape(text)}</p>\n"


def folded(title: str, content: str) -> str:
    """What a reader opens by a click."""
    return f"<details><summary>{html.escape(title)}</summary>{content}</details>\n"


def listing(text: str) -> str:
    return f"<pre>{html.escape(text)}</pre>"


def definitions(words: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(about)}</dd>" for name, about in words.items()) + "</dl>"
