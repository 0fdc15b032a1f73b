"""What e-mail marketing knows of an event (seed S3): its contact, and the campaign or flow that it is an interaction
with or, for a conversion, claimed for.

A campaign, a flow and a contact have UUIDs. A client's id that is none is accepted: the UUID is derived from it, so
that the same text names the same thing wherever it is used, in one project.
"""

import uuid
from enum import StrEnum
from typing import Final

import msgspec

from schemas.ids import derived

WINDOW_DAYS: Final = 7
"""The attribution window of a conversion that states none."""
WINDOW_MAX_DAYS: Final = 90
CURRENCY: Final = "USD"
"""The currency of a conversion that states none."""


class ConversionType(StrEnum):
    PURCHASE = "purchase"
    SIGNUP = "signup"
    UPGRADE = "upgrade"
    CUSTOM = "custom"


class AttributionModel(StrEnum):
    """How the interactions of a contact share a conversion."""

    LAST_TOUCH = "last_touch"
    FIRST_TOUCH = "first_touch"
    LINEAR = "linear"


class Named(StrEnum):
    """What a client may name by an id of its own."""

    CONTACT = "contact"
    CAMPAIGN = "campaign"
    FLOW = "flow"


class Interaction(StrEnum):
    """What a contact does with a campaign or a flow: types of events."""

    OPEN = "email_open"
    CLICK = "email_click"


INTERACTIONS: Final = frozenset(interaction.value for interaction in Interaction)


class Mailing(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What an event says of e-mail marketing. Empty and 0: not stated, so a default holds.

    Any event may name its contact, an interaction its campaign and flow, and only a conversion has the rest.
    """

    contact_id: str = ""
    sealed_email: str = ""
    """Encrypted with the project's key: see :mod:`control.contacts`."""
    campaign_id: str = ""
    flow_id: str = ""
    attribution_model: str = ""
    attribution_window_days: int = 0
    currency_defaulted: bool = False


NO_MAILING: Final = Mailing()


def id_of(kind: Named, project_id: str, text: str) -> str:
    """The UUID that the client's ``text`` names, in canonical lower-case form."""
    try:
        canonical = str(uuid.UUID(text))
    except ValueError:
        return derived(kind.value, project_id, text)
    # uuid.UUID also reads braces, a prefix and missing hyphens: those are other texts, not other spellings of it.
    return canonical if canonical == text.lower() else derived(kind.value, project_id, text)
