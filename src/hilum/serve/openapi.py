"""What types do not say to OpenAPI: bodies that are read by hand, and problems."""

from http import HTTPStatus
from typing import Any

from hilum.serve.problems import TYPE
from hilum.serve.schemas import Problem
from hilum.serve.uploads import FIELD, MULTIPART, RAW

_FILM = {"type": "string", "format": "binary"}
FILMS = {
    "requestBody": {
        "required": True,
        "description": "one film as the body, or several as the files of a form",
        "content": {
            MULTIPART: {
                "schema": {
                    "type": "object",
                    "properties": {FIELD: {"type": "array", "items": _FILM}},
                    "required": [FIELD],
                }
            },
            **{kind: {"schema": _FILM} for kind in RAW},
        },
    }
}
_REASONS = {
    400: "no film, a damaged body, or an unknown value of an option",
    401: "no token, or another one",
    403: "a request from another site's page",
    404: "no such path",
    408: "a client that is too slow",
    413: "too many bytes or films",
    415: "another Content-Type",
    421: "another host name",
    422: "none of the films can be read; `predictions` has the reason for each",
    503: "too many films wait; Retry-After says when to try again",
}


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """The problems that a route may answer with."""
    schema = Problem.model_json_schema()
    return {
        int(status): {
            "description": _REASONS[status],
            "content": {TYPE: {"schema": schema}},
        }
        for status in statuses
    }
