"""One builder for each kind of destination."""

from typing import Final

from processors.delivery.forwarding.google import google
from processors.delivery.forwarding.meta import meta
from processors.delivery.postback import postback
from processors.delivery.request import Builder
from schemas.control import DestinationKind

BUILDERS: Final[dict[DestinationKind, Builder]] = {
    DestinationKind.POSTBACK: postback,
    DestinationKind.META: meta,
    DestinationKind.GOOGLE: google,
}
