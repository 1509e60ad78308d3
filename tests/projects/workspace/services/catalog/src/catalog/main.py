"""The catalogue, with prices in the customer's currency."""

from fastapi import FastAPI
from money import Amount
from pydantic import BaseModel

app = FastAPI(title="Catalog", version="2.1.0")


class Article(BaseModel):
    """What can be bought."""

    sku: str
    price: str


@app.get("/articles/{sku}")
async def article(sku: str, cents: int = 1250, currency: str = "EUR") -> Article:
    """Shows one article."""
    return Article(sku=sku, price=str(Amount(cents, currency)))
