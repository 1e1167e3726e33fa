"""Films through `hilum serve`, with nothing but Python's own library.

python examples/ask_a_server.py http://127.0.0.1:8000 FILM.dcm [FILM.png ...]
"""

import json
import os
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

url, *films = sys.argv[1:]
headers = {"Content-Type": "application/octet-stream"}
if token := os.environ.get("HILUM_TOKEN"):
    headers["Authorization"] = f"Bearer {token}"
for film in films:
    request = Request(f"{url.rstrip('/')}/v1/predict", Path(film).read_bytes(), headers)  # noqa: S310
    try:
        with urlopen(request, timeout=120) as response:  # noqa: S310 - the address is the user's
            answer = json.load(response)
    except HTTPError as error:  # problem+json: one sentence
        print(f"{film}: {json.load(error)['detail']}")
        continue
    (row,) = answer["predictions"]
    print(f"{film}: {row['reason'] if row['abstain'] else row['label']} {row['probabilities']}")
    print(answer["verdict"], answer["notice"])
