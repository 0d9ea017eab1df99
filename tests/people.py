"""The people behind hosts, as tests need them."""

from clew.core.host import Question, SilentHost


class Person(SilentHost):
    """A host whose person gives one answer to every question; `asked` are the questions."""

    asks = True

    def __init__(self, *, agrees: bool = True) -> None:
        self.agrees = agrees
        self.asked: list[Question] = []

    async def confirm(self, question: Question) -> bool:
        self.asked.append(question)
        return self.agrees
