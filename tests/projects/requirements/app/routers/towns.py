"""Towns and their weather."""

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from jinja2 import Template

router = APIRouter(prefix="/towns")
_PAGE = Template("<h1>{{ town | e }}</h1><p>{{ degrees }} °C</p>")


@router.get("/{town}", response_class=HTMLResponse)
async def show(town: str, degrees: float = 20.0) -> str:
    """Shows a town as a page."""
    return _PAGE.render(town=town, degrees=degrees)
