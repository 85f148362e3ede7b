"""The demo's two servers, whose relay misbehaves as told; who got what is kept."""

import threading
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from triaged.demo import servers
from triaged.selftest.reckoning import Taken


class Servers(servers.Servers):
    """`taken` is what the relay accepted. Knobs: `refused` addresses answer 550 at RCPT; `later` counts the next mails
    that are refused for now at the dot; `welcome` False refuses every log-in."""

    def __init__(self, users: tuple[str, ...]) -> None:
        self.taken: list[Taken] = []
        self.refused: set[str] = set()
        self.later = 0
        self.welcome = True
        self._keeping = threading.Lock()
        super().__init__(users)

    def _session(self) -> SMTP:
        return SMTP(
            self,
            hostname="relay.selftest",
            ident="selftest",
            loop=self._loop,
            authenticator=self._authenticate,
            auth_require_tls=False,
        )

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, _data: Any
    ) -> AuthResult:
        return AuthResult(success=self.welcome, handled=False)

    async def handle_RCPT(
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """aiosmtpd's hook."""
        if address in self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        envelope.rcpt_options.extend(options)
        return "250 2.1.5 Ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """aiosmtpd's hook."""
        if self.later:
            self.later -= 1
            return "451 4.7.1 greylisted, try again later"
        content = envelope.original_content
        if isinstance(content, bytes):
            with self._keeping:
                self.taken += [Taken(recipient, content) for recipient in envelope.rcpt_tos]
        return await super().handle_DATA(server, session, envelope)

    def accepted(self) -> list[Taken]:
        with self._keeping:
            return list(self.taken)
