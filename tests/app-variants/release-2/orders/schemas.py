"""What the API takes and shows."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, computed_field

Status = Literal["pending", "paid", "shipped", "cancelled"]


class Line(BaseModel):
    """One article of an order."""

    model_config = ConfigDict(from_attributes=True, extra="forbid")

    sku: Annotated[str, Field(min_length=1, max_length=64)]
    quantity: Annotated[int, Field(ge=1, le=10_000)]
    unit_price_cents: Annotated[int, Field(ge=0, le=100_000_000)]


class NewOrder(BaseModel):
    """An order as a customer sends it."""

    model_config = ConfigDict(extra="forbid")

    customer: Annotated[str, Field(min_length=1, max_length=200)]
    lines: Annotated[list[Line], Field(min_length=1, max_length=100)]
    note: Annotated[str | None, Field(max_length=500)] = None


class StatusChange(BaseModel):
    """The next status of an order."""

    model_config = ConfigDict(extra="forbid")

    status: Status


class OrderView(BaseModel):
    """An order as the API shows it."""

    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    customer: str
    status: Status
    created_at: datetime
    lines: list[Line]
    note: str | None = None

    @computed_field
    @property
    def total_cents(self) -> int:
        """What the customer pays."""
        return sum(line.quantity * line.unit_price_cents for line in self.lines)
