"""An HTML page, parsed for tests."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The parts of a page that tests look at. ``open`` lists elements without a closing tag."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.open, self.text, self.rows = [], [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data
        if self.open and self.open[-1] in ("td", "button"):
            self.rows[-1].append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]
