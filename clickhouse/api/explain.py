"""``GET /v1/projects/{id}/conversions/{conversion_id}/explain``: the answer of :mod:`clickhouse.api.explainer`."""

import uuid

from litestar import Controller, get
from litestar.params import FromPath

from clickhouse.api.access import guard, needs
from clickhouse.api.answers import REFUSALS
from clickhouse.api.explainer import Explanation
from clickhouse.api.given import GivenExplainer, GivenProject
from schemas.control import Scope
from schemas.errors import Reason, Refused


class Explain(Controller):
    """Explanations of conversions."""

    path = "/v1/projects/{project_id:str}/conversions"
    guards = (guard,)
    tags = ("Reports",)

    @get(
        "/{conversion_id:str}/explain",
        opt=needs(Scope.ANALYTICS_READ),
        responses=REFUSALS,
        summary="Why a conversion is credited as it is: its person, candidate touches, shares, and bookings in time",
    )
    async def explain(
        self, project: GivenProject, explainer: GivenExplainer, conversion_id: FromPath[str]
    ) -> Explanation:
        try:
            id = str(uuid.UUID(conversion_id))
        except ValueError:
            raise Refused(Reason.NOT_FOUND, "no such conversion", field="conversion_id") from None
        return await explainer.explain(project, id)
