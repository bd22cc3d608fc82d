"""The proxy of tutorials: FastAPI in front, one shared httpx client behind, the answer streamed through."""

import os
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import httpx
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from starlette.background import BackgroundTask

API_KEY = os.environ["API_KEY"]
TO_UPSTREAM = ("accept", "content-type")
NOT_TO_CLIENT = {"connection", "date", "server", "transfer-encoding"}  # uvicorn has its own


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """One client for all requests; it keeps connections, and never runs out of them."""
    limits = httpx.Limits(max_connections=2000, max_keepalive_connections=2000)
    timeout = httpx.Timeout(300, connect=5)
    async with httpx.AsyncClient(
        base_url=os.environ["UPSTREAM_URL"], limits=limits, timeout=timeout
    ) as client:
        yield {"client": client}


async def check_key(x_api_key: Annotated[str, Header()] = "") -> None:
    """A wrong key is a 401."""
    if not secrets.compare_digest(x_api_key.encode(), API_KEY.encode()):
        raise HTTPException(401, "invalid API key")


app = FastAPI(lifespan=lifespan)


@app.get("/health/live")
async def live() -> Response:
    """The process answers."""
    return Response()


@app.post("/v1/{path:path}", dependencies=[Depends(check_key)])
async def relay(request: Request) -> StreamingResponse:
    """Send it on, and stream what comes back."""
    client: httpx.AsyncClient = request.state.client
    headers = {name: value for name, value in request.headers.items() if name in TO_UPSTREAM}
    onward = client.build_request("POST", request.url.path, headers=headers, content=await request.body())
    answer = await client.send(onward, stream=True)
    return StreamingResponse(
        answer.aiter_raw(),
        status_code=answer.status_code,
        headers={name: value for name, value in answer.headers.items() if name not in NOT_TO_CLIENT},
        background=BackgroundTask(answer.aclose),
    )
