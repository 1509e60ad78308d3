"""The application as a server imports it: `uvicorn orders.main:app`."""

from orders.app import create_app
from orders.settings import Settings

app = create_app(Settings())
