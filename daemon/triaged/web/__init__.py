"""The pages behind invitation links (rows C4, C5, C10, C15, N7): Starlette and uvicorn, and no logic of ours.

`build` makes the application, `serve` runs it. `visit` is what a request says, `invitation` and `account` are the
pages, `answer` dresses what they answer, `limits` keeps floods away; what happens is in `workflows/portal`.
"""

from triaged.web.application import build
from triaged.web.serving import serve

__all__ = ["build", "serve"]
