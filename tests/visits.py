"""A page in a browser, and all that it said, asked for and popped up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update",
]  # fmt: skip


class Visit:
    """A page, and all that it said, asked for and popped up."""

    def __init__(self, browser: Any, path: Path, width: int = 1280, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme,
                                           is_mobile=width < 600, has_touch=width < 600)  # fmt: skip
        self.page = self.context.new_page()
        self.said: list[str] = []
        self.page.on("console", lambda message: self.said.append(f"{message.type}: {message.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("request", lambda request: self.said.append(request.url) if request.url != path.as_uri() else None)

        def dismiss(dialog: Any) -> None:
            self.said.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        self.page.on("dialog", dismiss)
        self.page.goto(path.as_uri())

    def ready(self) -> Any:
        self.page.wait_for_selector("html[data-ready]", state="attached", timeout=60_000)
        return self.page

    def __enter__(self) -> Visit:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()


def until(page: Any, expression: str) -> None:
    """Wait for it. (Playwright's own way evaluates text in the page, which the page's policy forbids.)"""
    for _ in range(100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(expression)
