"""Open every page of the built book in a headless browser: python docs/check_pages.py [FOLDER]

Each must show its formulas without an error, fit a telephone's width, write nothing to the console and ask no host for
anything; and what it links to within the book must be there, to the place on the page. It needs Playwright and a
Chromium; CHROMIUM names one that stands elsewhere. Status 1 if a page fails.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS.parent))

from parity_tests.harness.browser import browser    # noqa: E402  (the path comes first)

BUILT = DOCS / "_build" / "html"
WIDTHS = (1280, 375)
# Formulas are set when MathJax says so; pages without any have none.
READY = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"
FORMULAS = "() => document.querySelectorAll('mjx-merror, [data-mjx-error]').length"
UNSET = "() => [...document.querySelectorAll('.math')].filter(math => !math.querySelector('mjx-container')).length"
# What sticks out on the right, unless something around it scrolls or cuts it off.
WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const scrolls = element => {
    for (let around = element.parentElement; around; around = around.parentElement)
      if (["auto", "scroll", "hidden"].includes(getComputedStyle(around).overflowX) && around !== document.body
          && around.getBoundingClientRect().right <= width + 1) return true;
    return false;
  };
  return [...document.body.querySelectorAll("*")]
    .filter(element => element.getBoundingClientRect().right > width + 1 && !scrolls(element))
    .slice(0, 3).map(element => `${element.tagName.toLowerCase()}.${element.className}`);
}"""


def problems_of(chromium, path):
    """[what is wrong with a page, in words]."""
    found = []
    context = chromium.new_context(viewport={"width": WIDTHS[0], "height": 900})
    page = context.new_page()
    page.on("console", lambda message: found.append(f"console: {message.text}"))
    page.on("pageerror", lambda error: found.append(f"error: {error}"))
    page.on("requestfailed", lambda request: found.append(f"not found: {request.url}"))
    page.on("request", lambda request: found.extend(
        [] if request.url.startswith(("file:", "data:", "blob:")) else [f"request: {request.url}"]))
    page.goto(path.as_uri())
    page.evaluate(READY)
    if wrong := page.evaluate(FORMULAS):
        found.append(f"{wrong} formulas have errors")
    if unset := page.evaluate(UNSET):
        found.append(f"{unset} formulas are not set")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 900})
        page.wait_for_timeout(50)
        if (actual := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{actual} pixels wide where there are {width}: {', '.join(page.evaluate(WIDE))}")
    context.close()
    return found


class Links(HTMLParser):
    """The places of a page that can be linked to, and what it links to."""

    def __init__(self, text):
        super().__init__()
        self.places, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.places |= {found[name] for name in ("id", "name") if found.get(name)}
        self.links += [found[name] for name in ("href", "src") if found.get(name)]


def broken_links(pages):
    """{page: [link that leads nowhere]} of these pages, among those that stay within the book."""
    read = {path.resolve(): Links(path.read_text(encoding="utf-8")) for path in pages}
    found = {}
    for path, one in read.items():
        for link in one.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            place = unquote(parts.fragment)
            if not target.exists() or (place and target in read and place not in read[target].places):
                found.setdefault(path, []).append(f"leads nowhere: {link}")
    return found


def check(folder=BUILT, pages=None):
    """{page: [problem, ...]} of all pages that have one. pages: their paths; None means all below the folder."""
    pages = sorted(Path(folder).rglob("*.html")) if pages is None else pages
    if not pages:
        raise SystemExit(f"check_pages.py: there is no page below {folder}: run `make docs` first")
    with browser() as chromium:
        found = {path.resolve(): problems_of(chromium, path) for path in pages}
    for path, problems in broken_links(pages).items():
        found[path] += problems
    return {path: problems for path, problems in found.items() if problems}


def main(arguments):
    folder = Path(arguments[0]).resolve() if arguments else BUILT
    failing = check(folder)
    for path, problems in failing.items():
        for problem in problems:
            print(f"{path.relative_to(folder)}: {problem}")
    print(f"{len(failing)} of {len(list(folder.rglob('*.html')))} pages have problems" if failing else
          f"{len(list(folder.rglob('*.html')))} pages are as they should be")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
