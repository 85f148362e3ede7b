"""Every mail as a picture in a real browser: light, dark, on a phone, into .screens/mails (git-ignored), to look at.

What no picture may show: a mail wider than a phone.
"""

from typing import Any

import pytest
from tests import mails_gallery

from triaged.adapters import templates

pytestmark = pytest.mark.browser
SCREENS = mails_gallery.CHECKOUT / ".screens/mails"
PHONE, DESK = {"width": 390, "height": 800}, {"width": 800, "height": 900}
LOOKS = [("light", PHONE), ("dark", PHONE), ("light", DESK)]


@pytest.mark.parametrize("locale", ["fr", "en", "de"])
def test_every_mail_fits_a_phone_and_is_photographed(chromium: Any, locale: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    renderer = templates.Renderer([mails_gallery.CHECKOUT / "templates"])
    too_wide = []
    for scheme, size in LOOKS:
        context = chromium.new_context(color_scheme=scheme, viewport=size)
        page = context.new_page()
        for situation, (name, facts) in mails_gallery.situations(locale).items():
            page.set_content(renderer.render(name, locale, facts).html)
            page.screenshot(path=SCREENS / f"{locale}-{situation}-{size['width']}-{scheme}.png", full_page=True)
            if page.evaluate("document.documentElement.scrollWidth") > size["width"]:
                too_wide.append(f"{situation} at {size['width']}")
        context.close()
    assert too_wide == []
