"""The peer of `benchmarks/serve.py`: the same model in FastAPI and plain PyTorch, as tutorials do.

python benchmarks/peer_server.py BACKBONE PORT
"""

import base64
import sys
from io import BytesIO

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, Request

from latency import CLASSES, plain, random_model

app = FastAPI()
answer = plain(random_model(sys.argv[1]))


@app.post("/predict")
async def predict(request: Request) -> dict[str, object]:
    """Probabilities, and the heat map as a PNG."""
    p, heat = answer(BytesIO(await request.body()))  # type: ignore[arg-type]
    share = np.rint(255 * heat / max(heat.max(), 1e-12)).astype(np.uint8)
    done, png = cv2.imencode(".png", cv2.applyColorMap(share, cv2.COLORMAP_PLASMA))
    assert done
    probabilities = dict(zip(CLASSES, p.tolist(), strict=True))
    return {"probabilities": probabilities, "heatmap": base64.b64encode(png).decode()}


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), log_level="error")
