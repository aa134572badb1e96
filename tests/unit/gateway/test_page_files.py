"""The page's own files: complete, closed to anything from elsewhere, and cheap to ask again."""

import re
from importlib.resources import files

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streams.gateway.page.files import HEADERS, PageFiles

STATIC = files("streams.gateway.page").joinpath("static")
TEXTS = {path.name: path.read_text() for path in STATIC.iterdir()}


def test_every_module_is_asked_for_at_once() -> None:
    """One that is imported, but not preloaded, would come a round trip later."""
    modules = {name for name in TEXTS if name.endswith(".js")} - {"main.js", "theme.js"}
    assert set(re.findall(r'modulepreload" href="/page/(\w+\.js)"', TEXTS["index.html"])) == modules
    imported = {
        name for text in TEXTS.values() for name in re.findall(r'from "\./(\w+\.js)"', text)
    }
    assert imported == modules


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_loaded_from_elsewhere(name: str) -> None:
    """No address of another host, no script or style in the page itself."""
    addresses = set(re.findall(r"https?://[^\"' ]+", TEXTS[name]))
    assert addresses <= {"http://www.w3.org/2000/svg"}
    assert not re.search(
        r"<script(?! src| type=\"module\" src)|<style| style=| on\w+=|innerHTML", TEXTS[name]
    )


def test_every_id_that_scripts_look_for_is_there() -> None:
    """A misspelt one would show nothing and say nothing."""
    made = set(re.findall(r'\bid: "([\w-]+)"', "".join(TEXTS.values())))
    there = set(re.findall(r'\bid="([\w-]+)"', TEXTS["index.html"])) | made
    asked = {
        name
        for file, text in TEXTS.items()
        if file.endswith(".js")
        for name in re.findall(r'byId\("([\w-]+)"\)', text)
    }
    assert asked - there == set()


def test_the_page_is_small() -> None:
    """All files together, as they travel, are less than one photograph."""
    sizes = [len(packed) for packed in PageFiles().packed.values()]
    assert sum(sizes) < 50_000


async def test_files_are_served_with_strict_rules_and_tags() -> None:
    """A browser that has one already is told so; a name that is none is not found."""
    app = web.Application()
    app.add_routes(PageFiles().routes())
    async with TestClient(TestServer(app)) as client:
        async with client.get("/") as index:
            assert index.content_type == "text/html"
            assert {name: index.headers[name] for name in HEADERS} == HEADERS
            tag = index.headers["ETag"]
        async with client.get("/", headers={"If-None-Match": tag}) as again:
            assert again.status == 304
        async with client.get("/page/main.js") as script:
            assert script.content_type == "text/javascript"
            assert script.headers["Content-Encoding"] == "gzip"
            packed = await script.text()
        plain = {"Accept-Encoding": "identity"}
        async with client.get("/page/main.js", headers=plain) as script:
            assert "Content-Encoding" not in script.headers
            assert await script.text() == packed == TEXTS["main.js"]
        for path in ("/page/none.js", "/page/..%2Ffiles.py", "/page/"):
            async with client.get(path) as missing:
                assert missing.status == 404
    assert "'unsafe" not in HEADERS["Content-Security-Policy"]
