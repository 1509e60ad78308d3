"""`python -m orders`: the application on its port, ended gracefully."""

import uvicorn

from orders.main import app

settings = app.state.settings
uvicorn.run(
    app,
    host="0.0.0.0",  # noqa: S104 - the pod's address is the only one there is
    port=settings.port,
    log_config=None,
    server_header=False,
    timeout_graceful_shutdown=settings.shutdown_timeout_seconds,
)
