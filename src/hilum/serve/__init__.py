"""A trained model over HTTP, and a page for it: thin, on `inference.answer`.

FastAPI, uvicorn and Pebble come with the extra `serve`.
"""
