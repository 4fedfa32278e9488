"""A web page in one file: style, script and data stand in it, and it asks no host for anything.

Its Content-Security-Policy forbids every request, so that a page which was copied anywhere shows the same.
"""

import base64
import json
import zlib
from pathlib import Path

import jinja2
from markupsafe import Markup

from numpy_impl.training.files import write_atomically

FOLDER = Path(__file__).parent


def page(title, body, *, styles=(), scripts=(), data=None):
    """Return the HTML of a page.

    title: text. body: HTML, as `render` returns it. styles, scripts: texts of CSS and JavaScript; the theme of
    style.css and the helpers of page.js come before them. data: whatever JSON can hold, for `await unpackData()`.
    """
    return render(FOLDER / "page.html", title=title, body=Markup(body),
                  styles=[text_of(FOLDER / "style.css"), *map(Markup, styles)],
                  scripts=[text_of(FOLDER / "page.js"), *map(Markup, scripts)],
                  data=None if data is None else packed(data))


def render(template, **values):
    """Fill in a Jinja2 template, a file. Texts are escaped; a name that the template asks for and nobody gave fails."""
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(template.parent), autoescape=True, trim_blocks=True,
                                     lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    return environment.get_template(template.name).render(values)


def text_of(path):
    """The text of a file of ours, as Markup: it is put into a page as it stands."""
    return Markup(path.read_text(encoding="utf-8"))


def packed(data):
    """JSON, compressed, in base64: a tenth of its size, and nothing in it can end a script element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpacked(text):
    """What `packed` was given."""
    return json.loads(zlib.decompress(base64.b64decode(text)))


def write(path, text):
    """Write a text to a file, whole or not at all; folders on the way to it are made."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, text.encode())
