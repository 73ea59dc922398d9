"""The HTTP API: recommendations and explanations without a conversation, and a health check."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Literal

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, ConfigDict, Field

from vouchrec.agent.assemble import Agent
from vouchrec.agent.types import recommendation_record
from vouchrec.retrieval.errors import RequestError
from vouchrec.retrieval.types import Constraint
from vouchrec.ui import problems
from vouchrec.ui.api_docs import docs_html
from vouchrec.ui.constraints import make_constraint
from vouchrec.ui.core import Ambiguity, Wanted, explain_items, recommend_explained, recommend_once, resolve_name
from vouchrec.ui.text import LONGEST_MESSAGE, clean_message

DESCRIPTION = "Recommendations with reasons that are checked. Items are named by id or by title."
ItemName = Annotated[str, Field(min_length=1, max_length=300)]
Names = Annotated[list[ItemName], Field(max_length=200)]
Scalar = str | int | float


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ConstraintIn(_Strict):
    """A condition on one attribute."""

    attribute: str = Field(max_length=100, examples=["year"])
    op: Literal["is", "is_not", "any_of", "none_of", "min", "max"] = Field(examples=["min"])
    value: Scalar | list[Scalar] = Field(examples=[1990])
    strength: Literal["hard", "soft"] = "hard"


class PersonIn(_Strict):
    """What is wanted, and by whom."""

    wish: str = Field("", max_length=LONGEST_MESSAGE, description="Free text, searched by meaning and by word.")
    likes: Names = Field(default_factory=list, description="Ids or titles.")
    dislikes: Names = Field(default_factory=list, description="Never recommended; what resembles them ranks lower.")
    seen: Names = Field(default_factory=list, description="Never recommended.")
    constraints: list[ConstraintIn] = Field(default_factory=list[ConstraintIn], max_length=50)


class RecommendationsIn(PersonIn):
    """A request for recommendations."""

    n: int = Field(5, ge=1, le=50)
    explain: bool = Field(False, description="Add a verified reason to each.")
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "wish": "slow and strange",
                    "likes": ["Alien"],
                    "constraints": [{"attribute": "year", "op": "max", "value": 1990}],
                    "n": 3,
                }
            ]
        },
    )


class ExplanationsIn(PersonIn):
    """A request to explain given items."""

    items: Annotated[list[ItemName], Field(min_length=1, max_length=50)]
    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"items": ["Stalker"], "likes": ["Solaris", "Alien"]}]}
    )


class AmbiguityOut(BaseModel):
    """A title that several items share, the one that was taken, and the others."""

    name: str
    taken: str
    others: list[str]


class ContributionOut(BaseModel):
    """What one liked item brought to the collaborative score."""

    id: str
    title: str
    value: float
    share: float


class ClaimOut(BaseModel):
    """One statement of a reason, and what came of checking it."""

    text: str
    kind: str
    reference: str
    verdict: Literal["supported", "refuted", "unknown"]


class RecommendationOut(BaseModel):
    """One item with its scores and evidence; the reason and its claims only where they were asked for."""

    rank: int
    id: str
    title: str
    score: float
    scores: dict[str, float]
    reason: str | None = None
    reason_source: Literal["model", "composed"] | None = None
    verified: bool | None = None
    claims: list[ClaimOut] | None = None
    contributions: list[ContributionOut]
    shares: dict[str, float]
    contributions_exact: bool
    collaborative_share: float
    attributes: dict[str, Scalar | list[str]]


class RecommendationsOut(BaseModel):
    """A ranked list."""

    recommendations: list[RecommendationOut]
    ambiguous: list[AmbiguityOut]


class ExplanationsOut(BaseModel):
    """Explained items, in the order asked."""

    explanations: list[RecommendationOut]
    ambiguous: list[AmbiguityOut]


class HealthOut(BaseModel):
    """What is running."""

    status: Literal["ok"]
    version: str
    items: int
    model: str


PROBLEMS: dict[int | str, dict[str, object]] = {
    status: {"description": text, "content": {problems.MEDIA_TYPE: {}}}
    for status, text in (
        (400, "Not JSON"),
        (404, "No item of that name"),
        (413, "Body too large"),
        (422, "A wrong field"),
    )
}


def make_api(agent: Agent) -> FastAPI:
    """Return the API of an agent. Its handlers run in threads, so a slow request does not hold up the others."""
    app = FastAPI(title="Vouch", version=version("vouchrec"), description=DESCRIPTION, docs_url=None, redoc_url=None)
    problems.install(app)

    @app.post("/v1/recommendations", responses=PROBLEMS, response_model_exclude_none=True, tags=["v1"])
    def recommendations(request: RecommendationsIn) -> RecommendationsOut:
        """Return the best items for a wish and a taste, none of which breaks a hard constraint or is known already."""
        wanted = _wanted(agent, request, request.n)
        if request.explain:
            explained = recommend_explained(agent, wanted)
            records = [recommendation_record(e.recommendation, e.reason) for e in explained.explained]
            return RecommendationsOut(recommendations=_records(records), ambiguous=_unclear(explained.ambiguous))
        answer = recommend_once(agent, wanted)
        records = [recommendation_record(r) for r in answer.recommendations]
        return RecommendationsOut(recommendations=_records(records), ambiguous=_unclear(answer.ambiguous))

    @app.post("/v1/explanations", responses=PROBLEMS, response_model_exclude_none=True, tags=["v1"])
    def explanations(request: ExplanationsIn) -> ExplanationsOut:
        """Say why given items suit a taste: the reason, its claims with verdicts, and the exact contributions."""
        names = _known(agent, request.items)
        answer = explain_items(agent, names, _wanted(agent, request, len(names)))
        records = [recommendation_record(e.recommendation, e.reason) for e in answer.explained]
        return ExplanationsOut(explanations=_records(records), ambiguous=_unclear(answer.ambiguous))

    @app.get("/healthz", tags=["service"])
    def healthz() -> HealthOut:
        """Return 200 while the service can answer."""
        return HealthOut(status="ok", version=app.version, items=len(agent.workspace.catalogue), model=agent.model.name)

    @app.get("/docs", include_in_schema=False)
    def docs() -> HTMLResponse:
        return HTMLResponse(docs_html(app.openapi()))

    return app


def _wanted(agent: Agent, request: PersonIn, n: int) -> Wanted:
    domain = agent.workspace.domain
    constraints: list[Constraint] = [
        make_constraint(c.attribute, c.op, c.value, domain=domain, strength=c.strength) for c in request.constraints
    ]
    return Wanted(
        wish=clean_message(request.wish, what="wish") if request.wish.strip() else "",
        likes=_known(agent, request.likes),
        dislikes=_known(agent, request.dislikes),
        seen=_known(agent, request.seen),
        constraints=tuple(constraints),
        n=n,
    )


def _known(agent: Agent, names: list[str]) -> list[str]:
    """Check that every name means an item.

    Raises:
        UnknownItemError: One does not; the problem says which and names near ones.
    """
    for name in names:
        try:
            resolve_name(agent, name)
        except RequestError as error:
            raise problems.UnknownItemError(str(error.args[0]), hint=error.hint) from error
    return names


def _records(records: list[dict[str, object]]) -> list[RecommendationOut]:
    return [RecommendationOut.model_validate(record) for record in records]


def _unclear(ambiguous: tuple[Ambiguity, ...]) -> list[AmbiguityOut]:
    return [AmbiguityOut.model_validate(a.record()) for a in ambiguous]
