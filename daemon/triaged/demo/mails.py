"""The demo's mail: what partners of the sample directory write on one morning, and what the border server adds.

Own wording, one lesson each; the titles say what to look at.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.header import Header
from email.utils import format_datetime

COM = "partner-support@vendor.example"
EU = "partner-support@eu.vendor.example"
SELECT = "select@vendor.example"
AUTHSERV = "mx.vendor.example"
ADDED = "it@acme.example"  # what the reply fills in

# A reply needs what it replies to: our own mail, by its bytes.
Answered = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail of the story. `user` is the IMAP user it comes to; `verified` whether DMARC passed at the border."""

    title: str
    user: str
    sender: str
    subject: str
    body: str
    verified: bool = True
    extra: str = ""  # header lines, each ending with CRLF
    content_type: str = "text/plain; charset=utf-8"
    answers: str = ""  # the title of an earlier letter whose answer this one replies to


def raw(letter: Letter, number: int, at: datetime, reply_to: str = "") -> bytes:
    """The mail as it lies in the mailbox, with what our border server wrote on top."""
    domain = letter.sender.rpartition("@")[2].rstrip(">")
    verdict = f"dmarc=pass header.from={domain}" if letter.verified else f"dmarc=none header.from={domain}"
    thread = f"In-Reply-To: {reply_to}\r\nReferences: {reply_to}\r\n" if reply_to else ""
    to = {"partners-com": COM, "partners-eu": EU, "select": SELECT}[letter.user]
    head = (
        f"Return-Path: <{letter.sender.rpartition('<')[2].rstrip('>')}>\r\n"
        f"Authentication-Results: {AUTHSERV}; {verdict}\r\n"
        f"Received: from mail.{domain} by {AUTHSERV}; {format_datetime(at)}\r\n"
        f"From: {letter.sender}\r\nTo: {to}\r\nSubject: {Header(letter.subject, 'utf-8').encode()}\r\n"
        f"Date: {format_datetime(at)}\r\nMessage-ID: <demo-{number}.{at:%H%M%S}@{domain}>\r\n"
        f"{thread}{letter.extra}MIME-Version: 1.0\r\n"
        f"Content-Type: {letter.content_type}\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    )
    return (head + letter.body.replace("\n", "\r\n")).encode()


_BOUNCE = """--b
Content-Type: text/plain; charset=utf-8

This message could not be delivered: the mailbox does not exist.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mail.integra.example

Final-Recipient: rfc822; ancien.collegue@integra.example
Action: failed
Status: 5.1.1

--b
Content-Type: message/rfc822

From: partner-support@eu.vendor.example
To: ancien.collegue@integra.example
Subject: [EU-000000] Votre demande
Message-ID: <sent-long-ago@support.example>

Bonjour,
--b--
"""

_ORDER = """Bonjour,

Merci d’enregistrer la commande ci-dessous.

N° de bon de commande : PO-2026-118
SKU : 994-000303
Nombre de licences : 60

Client final
Nom : Acme SA
E-mail : claire.martin@acme.example
Adresse : 12 rue de la Paix, 75002 Paris, France

Revendeur
Nom : Integra
E-mail : contact@integra.example
Adresse : 3 place Bellecour, 69002 Lyon, France

Distributeur
Nom : Nordlicht GmbH
E-mail : hilfe@nordlicht.example
Adresse : Am Sandtorkai 4, 20457 Hamburg, Deutschland
"""

# Nested deeper than any honest mail: it must be put aside, and its sender told.
_MATRYOSHKA = (
    "".join(f"--b{n}\nContent-Type: multipart/mixed; boundary=b{n + 1}\n\n" for n in range(60))
    + "--b60\n\nnever read\n"
)

STORY: tuple[Letter, ...] = (
    Letter(
        "complete: a large-user account, so S1 at once",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "CRM inaccessible pour toute l'équipe",
        "Bonjour,\n\nDepuis 8 h, aucun utilisateur ne peut ouvrir Zoho CRM (erreur 500).\n\n"
        "Service : Zoho CRM\nAdresse e-mail du super administrateur : it@acme.example\n\n"
        "Merci de votre aide,\nClaire Fontaine\nIntegra\n",
    ),
    Letter(
        "without super admin: the partner is asked, and told why",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "Import de contacts bloqué",
        "Bonjour,\n\nL'import de contacts de notre client reste bloqué à 40 % depuis hier soir.\n\n"
        "Pouvez-vous regarder ?\n\nClaire\n",
    ),
    Letter(
        "only a ZUID, in English",
        "partners-com",
        "Sam Carter <desk@brightwave.example>",
        "User cannot sign in",
        "Hi team,\n\none of our customer's users is locked out of Zoho One since this morning.\n\n"
        "ZUID: 750456401\n\nBest,\nSam\n",
    ),
    Letter(
        "only a ZOID, in a CRM link; in German; the account answers to this partner alone",
        "partners-eu",
        "Jonas Weber <hilfe@nordlicht.example>",
        "Bericht wird nicht geladen",
        "Guten Tag,\n\nbei unserem Kunden wird dieser Bericht nicht geladen:\n"
        "https://crm.zoho.eu/crm/org655917342/tab/Reports\n\nMit freundlichen Grüßen\nJonas Weber\n",
    ),
    Letter(
        "an excluded service: a ticket, but no priority, and the reason why",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "Campagne non envoyée",
        "Bonjour,\n\nUne campagne programmée hier n'est pas partie.\n\n"
        "Service : Zoho Campaigns\nSuper admin : it@acme.example\n\nClaire Fontaine\n",
    ),
    Letter(
        "a customer whom nobody knows, sent to the wrong mailbox",
        "partners-eu",
        "Sam Carter <desk@brightwave.example>",
        "Billing question",
        "Hello,\n\nour customer would like to change the billing address.\n\n"
        "Super admin e-mail: owner@unheard-of.example\nService: Zoho Books\n\nThanks,\nSam\n",
    ),
    Letter(
        "a contradiction: one customer's super admin, another one's ZOID; nobody guesses",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "Droits d'accès",
        "Bonjour,\n\nUn utilisateur n'a plus accès à ses dossiers.\n\n"
        "Super administrateur : it@acme.example\nZOID : 60045678901\n\nClaire\n",
    ),
    Letter(
        "an unregistered sender: a neutral receipt, and an associate looks",
        "partners-eu",
        "Marc Dubois <marc@inconnu.example>",
        "Urgent : panne",
        "Bonjour,\n\nNous avons une panne.\n\nSuper administrateur : it@acme.example\n\nMarc\n",
    ),
    Letter(
        "a forged partner: the border server does not vouch for it, so it gets nothing",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "Urgent",
        "Bonjour,\n\nSuper administrateur : it@acme.example\n",
        verified=False,
    ),
    Letter(
        "a vacation reply: no ticket, no answer",
        "partners-com",
        "Sam Carter <desk@brightwave.example>",
        "Out of office: Your ticket",
        "I am away until Monday.\n",
        extra="Auto-Submitted: auto-replied\r\n",
    ),
    Letter(
        "a bounce",
        "partners-eu",
        "Mail Delivery System <mailer-daemon@integra.example>",
        "Undelivered Mail Returned to Sender",
        _BOUNCE,
        extra="Auto-Submitted: auto-replied\r\n",
        content_type="multipart/report; report-type=delivery-status; boundary=b",
    ),
    Letter(
        "the reply that adds the missing super admin: S1, counted from the first mail",
        "partners-eu",
        "Claire Fontaine <contact@integra.example>",
        "",
        "",
        answers="without super admin: the partner is asked, and told why",
    ),
    Letter(
        "one that cannot be read: kept, byte for byte, and its sender told",
        "partners-com",
        "Sam Carter <desk@brightwave.example>",
        "Fwd: Fwd: Fwd:",
        _MATRYOSHKA,
        content_type="multipart/mixed; boundary=b0",
    ),
    Letter(
        "an order of 60 rooms: three confirmations, each its own, and a personal invitation to the customer alone",
        "select",
        "Paul Girard <contact@integra.example>",
        "Commande PO-2026-118",
        _ORDER,
    ),
    Letter(
        "the invitation was lost: a new link to the same person, and the earlier one no longer works",
        "select",
        "Anke Voss <hilfe@nordlicht.example>",
        "Einladung verloren",
        "Guten Tag,\n\nunser Kunde findet die Einladung zu Bestellung PO-2026-118 nicht mehr.\n"
        "Bitte senden Sie sie erneut.\n\nMit freundlichen Grüßen\nAnke Voss\n",
    ),
)


def filled_in(question: str, label_values: dict[str, str]) -> str:
    """A reply as a mail program makes it: a word on top, our mail quoted below, its block filled in where it stands."""
    lines = []
    for line in question.splitlines():
        stem = line.rstrip()
        wanted = next((v for label, v in label_values.items() if stem.lower().startswith(label.lower())), None)
        lines.append(f"> {stem} {wanted}" if wanted and stem.endswith(":") else f"> {line}")
    return (
        "Voilà, j'ai complété ci-dessous.\n\nClaire\n\nLe lun. 23 nov. 2026 à 09:12, Assistance partenaires a écrit :\n"
        + "\n".join(lines)
        + "\n"
    )
