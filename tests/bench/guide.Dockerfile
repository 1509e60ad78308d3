# The shape that uv's own guide for Docker has: first the packages, then the project, and the final
# image gets both by one copy.
ARG BASE
FROM $BASE AS builder
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_NO_DEV=1 UV_PYTHON_DOWNLOADS=never
WORKDIR /app
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,from=uv,source=uv,target=/usr/local/bin/uv \
    --mount=type=bind,source=uv.lock,target=/app/uv.lock \
    --mount=type=bind,source=pyproject.toml,target=/app/pyproject.toml \
    --mount=type=secret,id=certificates \
    --mount=type=secret,id=index \
    . /run/secrets/index && uv sync --locked --no-install-project
COPY . /app
RUN --mount=type=cache,target=/root/.cache/uv \
    --mount=type=bind,from=uv,source=uv,target=/usr/local/bin/uv \
    --mount=type=secret,id=certificates \
    --mount=type=secret,id=index \
    . /run/secrets/index && uv sync --locked

FROM $BASE
COPY --from=builder --chown=65532:65532 /app /app
ENV PATH="/app/.venv/bin:$PATH"
WORKDIR /app
USER 65532:65532
CMD ["python", "-m", "uvicorn", "orders.main:app", "--host", "0.0.0.0"]
