"""What the hand-written subjects share: the typed projection and the request."""

import os

from pydantic import AliasPath, BaseModel, Field

UPSTREAM = os.environ.get("BENCH_UPSTREAM", "http://127.0.0.1:1")
HEADERS = {"authorization": "Bearer bench", "accept": "application/json"}


class Issue(BaseModel):
    """An issue as the model is shown it."""

    number: int
    title: str
    state: str
    author: str = Field(validation_alias=AliasPath("user", "login"))
    comments: int
    url: str = Field(validation_alias="html_url")


class Issues(BaseModel):
    """One page of them."""

    items: list[Issue]
