"""What an event says of e-mail marketing: its contact, and the campaign or flow that it is an interaction with. Pure.

1. ``contact_id`` or ``email`` names the contact of any event; a contact id that is given wins over the address's own.
2. An address goes no further than here: into the contact's id, by the project's key, and sealed into the report of a
   conversion, where the list of conversions shows it. A key or token that pages hold seals an address only for the
   contact whom that address names: it cannot change what another contact's address is shown as.
3. An interaction (``email_open``, ``email_click``) names its contact, and a campaign or a flow or both. Whoever reads a
   page can send events under its public key, and addresses are easy to guess: under it an interaction names its contact
   by ``contact_id`` only, so that nobody else can claim a known person's conversions for a campaign.
"""

import unicodedata

from control.contacts import Contacts
from ingest import fields
from ingest.fields import ClientEvent
from schemas.errors import Reason, Refused
from schemas.mailing import INTERACTIONS, Mailing, Named, id_of
from schemas.outcomes import Trust


def mailing_of(
    client: ClientEvent, event_type: str, project_id: str, trust: Trust, contacts: Contacts, *, seals: bool
) -> Mailing:
    """The event's part of e-mail marketing. ``seals``: keep the address, encrypted. Raises :class:`Refused`."""
    interaction = event_type in INTERACTIONS
    address = address_of(client.email or "")
    if interaction and address and trust is not Trust.SECRET:
        message = "a public key names the contact of an interaction by contact_id"
        raise Refused(Reason.INSUFFICIENT_SCOPE, message, field="email")
    stated = _named(client.contact_id, Named.CONTACT, project_id)
    contact_id = stated or (contacts.id_of(project_id, address) if address else "")
    if interaction and not contact_id:
        raise Refused(Reason.MISSING_FIELD, "email or contact_id is required", field="email")
    campaign_id = _named(client.campaign_id, Named.CAMPAIGN, project_id)
    flow_id = _named(client.flow_id, Named.FLOW, project_id)
    if interaction and not (campaign_id or flow_id):
        raise Refused(Reason.MISSING_FIELD, "campaign_id or flow_id is required", field="campaign_id")
    keeps = seals and address and (trust is Trust.SECRET or not stated)
    return Mailing(
        contact_id=contact_id,
        sealed_email=contacts.seal(project_id, address) if keeps else "",
        campaign_id=campaign_id,
        flow_id=flow_id,
    )


def address_of(text: str) -> str:
    """An e-mail address as far as it must be one to be known again; empty for none. Raises :class:`Refused`."""
    address = text.strip()
    local, at, domain = address.rpartition("@")
    if address and not (local and at and domain and _visible(address)):
        raise Refused(Reason.INVALID_VALUE, "must be an e-mail address like ann@example.com", field="email")
    return address


def part_of_name(value: str | int | None, name: str) -> str:
    """An id that another is derived from, as text; empty if it is none. Raises :class:`Refused`."""
    return fields.part_of_name(fields.named(value), name)


def _named(value: str | int | None, kind: Named, project_id: str) -> str:
    text = part_of_name(value, f"{kind.value}_id")
    return id_of(kind, project_id, text) if text else ""


def _visible(text: str) -> bool:
    return not any(unicodedata.category(character)[0] in "CZ" for character in text)
