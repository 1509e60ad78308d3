"""The application."""

from fastapi import FastAPI

from app.routers import towns

app = FastAPI(title="Weather")
app.include_router(towns.router)
