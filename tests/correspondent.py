"""What the world sends in a campaign: a mixture of mails with known truth, some twice, some in answer to ours."""

import random
from collections.abc import Callable

from tests.servers import smtp_sink

from triaged.selftest import reckoning
from triaged.selftest.letters import Kind, Letter, Writer

_SUPPORT = ("partners-com", "partners-eu")


class Correspondent:
    """Writes what the world sends: a mixture with known truth, each mail once or twice."""

    def __init__(self, writer: Writer, sink: smtp_sink.SmtpSink, rng: random.Random) -> None:
        self.letters: list[Letter] = []
        self._writer, self._sink, self._rng = writer, sink, rng
        self._answered: list[tuple[str, str]] = []  # (token, our Message-ID) of tickets that we confirmed
        self._looked = 0
        self._recipes: dict[Callable[[str], Letter], int] = {
            writer.large_user: 25,
            writer.standard: 25,
            self._twin: 7,
            self._twin_elsewhere: 6,
            self._namesake: 5,
            writer.nameless: 5,
            self._reply: 6,
            writer.unvouched: 5,
            writer.vacation: 4,
            writer.report: 4,
            writer.nested: 2,
            writer.dirty: 2,
            writer.oversized: 2,
        }

    def write(self, number: int) -> list[Letter]:
        self._hear()
        fresh = [self._one() for _ in range(number)]
        self.letters += fresh
        return fresh

    def _one(self) -> Letter:
        if self._rng.random() < 0.06:
            orders = [one for one in self.letters[-200:] if one.kind is Kind.ORDER]
            if orders and self._rng.random() < 0.2:
                return self._writer.again(self._rng.choice(orders), "select")
            return self._writer.order("select")
        recipe = self._rng.choices(list(self._recipes), list(self._recipes.values()))[0]
        return recipe(self._rng.choice(_SUPPORT))

    def _plain(self, mailbox: str) -> Letter | None:
        wanted = (Kind.LARGE_USER, Kind.STANDARD)
        found = [one for one in self.letters[-200:] if one.kind in wanted and one.mailbox == mailbox]
        return self._rng.choice(found) if found else None

    def _twin(self, mailbox: str) -> Letter:
        first = self._plain(mailbox)
        return self._writer.again(first, mailbox) if first else self._writer.standard(mailbox)

    def _twin_elsewhere(self, mailbox: str) -> Letter:
        first = self._plain(next(name for name in _SUPPORT if name != mailbox))
        return self._writer.again(first, mailbox) if first else self._writer.standard(mailbox)

    def _namesake(self, mailbox: str) -> Letter:
        first = self._plain(mailbox)
        return self._writer.namesake(first, mailbox) if first else self._writer.standard(mailbox)

    def _reply(self, mailbox: str) -> Letter:
        by_token = {one.token: one for one in self.letters if one.mailbox == mailbox}
        known = [(by_token[token], ours) for token, ours in self._answered if token in by_token]
        if not known:
            return self._writer.standard(mailbox)
        return self._writer.reply(*self._rng.choice(known), mailbox)

    def _hear(self) -> None:
        """A few of the answers that came lately are answered in turn."""
        arrived = self._sink.deliveries[self._looked :]
        self._looked += len(arrived)
        for one in self._rng.sample(arrived, min(5, len(arrived))):
            seen = reckoning.seen(reckoning.Taken(one.recipients[0], one.content))
            if seen.notice == "ticket_opened":
                self._answered = [*self._answered[-50:], (seen.token, seen.message_id)]
