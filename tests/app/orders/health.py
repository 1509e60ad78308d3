"""What the cluster asks: alive, ready, metrics, version."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from orders import __version__

router = APIRouter()


@router.get("/healthz", tags=["cluster"])
async def healthz() -> dict[str, str]:
    """Answers while the process can; asks nothing else, since a restart mends no database."""
    return {"status": "alive"}


@router.get("/readyz", tags=["cluster"])
async def readyz(request: Request) -> JSONResponse:
    """Says whether this pod should get requests.

    A pod becomes ready once both databases have answered it: a release with a wrong password
    never does. From then on it stays ready while one of them answers, because reads need only
    one, and because pods that all leave at once turn a failover into an outage.
    """
    state = request.app.state
    if state.drain.started:
        return JSONResponse({"status": "draining", "checks": {}}, 503)
    checks = await state.databases.check()
    answering = [name for name, answer in checks.items() if answer == "ok"]
    if len(answering) == len(checks):
        state.was_ready = True
        return JSONResponse({"status": "ready", "checks": checks})
    if state.was_ready and answering:
        return JSONResponse({"status": "degraded", "checks": checks})
    return JSONResponse({"status": "unready", "checks": checks}, 503)


@router.get("/metrics", tags=["cluster"])
async def metrics(request: Request) -> Response:
    """Shows the metrics in Prometheus's text format."""
    return Response(
        generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST
    )


@router.get("/version", tags=["cluster"])
async def version(request: Request) -> dict[str, str | None]:
    """Names the release and the image that it runs from."""
    return {"version": __version__, "image_digest": request.app.state.settings.image_digest}
