"""Seed S3: the list of a project's conversions, each as all its arrivals tell it, whoever reported them.

Newest first, by time of conversion. ``total`` and the page come from one read, so they always agree. What is written
between two requests moves the pages after it by as much: a page is a cut of the list as it is when it is asked for.
"""

from decimal import Decimal
from typing import Annotated, Final

from litestar import Controller, get
from litestar.params import FromQuery, QueryParameter
from msgspec import Raw, Struct

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.exact import money
from clickhouse.api.given import GivenContacts, GivenLog, GivenProject, GivenReader
from clickhouse.api.mailings import name_of
from control.contacts import Contacts
from schemas.control import Campaign, ControlView, Flow, Project, Scope
from schemas.errors import Reason, Refused
from schemas.instants import written
from schemas.mailing import WINDOW_DAYS, AttributionModel, ConversionType, Named, id_of

PAGE: Final = 100
PAGE_MAX: Final = 1000
OFFSET_MAX: Final = 2**53

Limit = Annotated[int, QueryParameter(description=f"1 to {PAGE_MAX}")]
Offset = Annotated[int, QueryParameter(description="So many are skipped")]


class Contact(Struct, frozen=True, kw_only=True):
    """``email`` is null if no report named it, or if this installation's secret is not the one it was sealed with."""

    id: str
    email: str | None


class MailingName(Struct, frozen=True, kw_only=True):
    """``name`` is null until one is put."""

    id: str
    name: str | None


class ContactConversion(Struct, frozen=True, kw_only=True):
    """A conversion; ``contact`` is null where no report names one."""

    id: str
    type: str
    revenue: Decimal | None
    currency: str | None
    order_id: str | None
    contact: Contact | None
    campaign: MailingName | None
    flow: MailingName | None
    attribution_model: str
    attribution_window: int
    metadata: Raw
    converted_at: str
    created_at: str


class Pagination(Struct, frozen=True, kw_only=True):
    total: int
    limit: int
    offset: int
    has_more: bool


class ContactConversionListAnswer(Struct, frozen=True):
    data: list[ContactConversion]
    pagination: Pagination


class _Page(Struct, frozen=True):
    total: int
    ids: list[str]


class _Row(Struct, frozen=True, kw_only=True):
    id: str
    type: str
    order_id: str
    revenue: Decimal | None
    currency: str
    contact_id: str
    sealed_email: str
    campaign_id: str
    flow_id: str
    attribution_model: str
    attribution_window_days: int
    metadata: str
    converted_ms: int
    received_ms: int


class ContactConversions(Controller):
    """All conversions, for e-mail marketing."""

    path = "/api/v1/conversions"
    guards = (guard,)
    tags = ("Conversions",)

    @get(opt=needs(Scope.CONVERSIONS_READ, current=True), responses=REFUSALS, summary="List conversions, newest first")
    async def list(
        self,
        project: GivenProject,
        log: GivenLog,
        reader: GivenReader,
        contacts: GivenContacts,
        type: FromQuery[ConversionType | None] = None,
        contact_id: FromQuery[str | None] = None,
        campaign_id: FromQuery[str | None] = None,
        limit: Limit = PAGE,
        offset: Offset = 0,
    ) -> ContactConversionListAnswer:
        _check_between(limit, 1, PAGE_MAX, "limit")
        _check_between(offset, 0, OFFSET_MAX, "offset")
        page = await reader.row(
            "mailing_page",
            _Page,
            {
                "project_id": project.id,
                "kind": type.value if type else "",
                "contact_id": id_of(Named.CONTACT, project.id, contact_id) if contact_id else "",
                "campaign_id": id_of(Named.CAMPAIGN, project.id, campaign_id) if campaign_id else "",
                "skip": offset,
                "page": limit,
            },
        )
        rows: list[_Row] = []
        if page.ids:
            rows = await reader.rows("mailing_conversions", _Row, {"project_id": project.id, "ids": page.ids})
        return ContactConversionListAnswer(
            [_shown(row, project, log.view, contacts) for row in rows],
            Pagination(total=page.total, limit=limit, offset=offset, has_more=offset + len(page.ids) < page.total),
        )


def _check_between(number: int, least: int, most: int, field: str) -> None:
    if not least <= number <= most:
        raise Refused(Reason.OUT_OF_RANGE, f"must lie between {least} and {most}", field=field)


def _shown(row: _Row, project: Project, view: ControlView, contacts: Contacts) -> ContactConversion:
    email = contacts.unseal(project.id, row.sealed_email) if row.sealed_email else None
    return ContactConversion(
        id=row.id,
        type=row.type,
        revenue=None if row.revenue is None else money(row.revenue),
        currency=row.currency or None,
        order_id=row.order_id or None,
        contact=Contact(id=row.contact_id, email=email) if row.contact_id else None,
        campaign=_named(view, Campaign, project, row.campaign_id),
        flow=_named(view, Flow, project, row.flow_id),
        attribution_model=row.attribution_model or AttributionModel.LAST_TOUCH.value,
        attribution_window=row.attribution_window_days or WINDOW_DAYS,
        metadata=Raw(row.metadata.encode()),
        converted_at=written(row.converted_ms),
        created_at=written(row.received_ms),
    )


def _named(view: ControlView, kind: type[Campaign] | type[Flow], project: Project, id: str) -> MailingName | None:
    return MailingName(id=id, name=name_of(view, kind, project.id, id)) if id else None
