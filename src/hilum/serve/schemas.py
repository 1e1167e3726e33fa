"""What the server answers, as OpenAPI shows it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from hilum.types import NOTICE


class FilmOptions(BaseModel):
    """What may be asked for besides the answer, in the query."""

    model_config = ConfigDict(extra="forbid")  # a misspelt option must not pass for "no"

    heatmap: bool = Field(default=False, description="the predicted class's heat map")
    film: bool = Field(default=False, description="the film drawn, its lungs outlined")


class Heat(BaseModel):
    """The heat map of the predicted class."""

    model_config = ConfigDict(populate_by_name=True)

    png: str = Field(description="PNG, base64: colours on clear ground, of the prepared film")
    class_: str = Field(alias="class", description="the class that it supports")
    method: str
    reason: str = Field("", description="why there is none")


class DrawnFilm(BaseModel):
    """A film drawn for a person."""

    png: str = Field(description="PNG, base64, grey")
    width: int
    height: int
    greys: str = Field(description="by which rule grey was made")
    lungs: list[list[tuple[float, float]]] = Field(description="closed lines (x, y), 0 to 1")
    lungs_reason: str


class FilmAnswer(BaseModel):
    """One film's row, as `hilum predict` writes it, and pictures."""

    path: str = Field(description="the client's own name of the film")
    label: str = Field(description="the most probable class; empty where the film is unreadable")
    probabilities: dict[str, float]
    abstain: bool
    reason: str = Field(description="why the model abstains, or why the film could not be read")
    seen: str = Field(description="same file, near duplicate, same patient: no test of the model")
    new_source: str = Field(
        "", description="yes: of a source that is new to the model; no; or not checked"
    )
    heatmap: Heat | None = None
    film: DrawnFilm | None = Field(None, description="as its file shows it")
    as_seen: DrawnFilm | None = Field(None, description="as the network sees it, drawn finer")


class AnsweredFilms(BaseModel):
    """The answers to a request's films, and what they must not be read without."""

    predictions: list[FilmAnswer]
    thresholds: dict[str, float] = Field(description="class -> p at 90% sensitivity in validation")
    verdict: str
    failed_audits: list[str]
    new_source: str = Field(
        "", description="a sentence where the films are of a new source, or why it was not checked"
    )
    digest: str = Field(description="of the model")
    notice: str = NOTICE


class Problem(BaseModel):
    """An error (RFC 9457); `predictions` and the rest of `Answers` follow where films were read."""

    title: str
    status: int
    detail: str = Field(description="one sentence: expected, got, what to do")
    notice: str = NOTICE


class RequestLimits(BaseModel):
    """What a client should keep to."""

    body: int = Field(description="bytes of a request")
    parts: int = Field(description="films of a request")


class ModelCard(BaseModel):
    """What is known of the model."""

    classes: list[str]
    thresholds: dict[str, float]
    verdict: str
    audits: dict[str, Any] = Field(description="how it was judged, by what, when")
    preparation: list[dict[str, Any]]
    precision: str
    mirror: bool
    temperature: float
    provenance: dict[str, Any]
    digest: str
    version: str
    limits: RequestLimits
    notice: str = NOTICE


class Health(BaseModel):
    """Whether the server is there."""

    status: str
    notice: str = NOTICE
