"""The orders themselves."""

import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from orders.database import Databases, valid_position
from orders.models import Order, OrderLine
from orders.schemas import NewOrder, OrderView, Status, StatusChange

router = APIRouter(prefix="/orders", tags=["orders"])

# A client that sends this back reads at least what it has written.
POSITION_HEADER = "X-Read-After"


def databases(request: Request) -> Databases:
    """Gives the application's databases."""
    return request.app.state.databases


def read_after(x_read_after: Annotated[str | None, Header()] = None) -> str | None:
    """Checks the position that a client wants to have been replayed."""
    if x_read_after is not None and not valid_position(x_read_after):
        raise HTTPException(400, f"{POSITION_HEADER}: expected a value that a write returned")
    return x_read_after


Db = Annotated[Databases, Depends(databases)]
After = Annotated[str | None, Depends(read_after)]
IdempotencyKey = Annotated[str | None, Header(min_length=1, max_length=200)]


@router.post("", status_code=201)
async def create(
    new: NewOrder,
    request: Request,
    response: Response,
    db: Db,
    idempotency_key: IdempotencyKey = None,
) -> OrderView:
    """Takes an order. The same `Idempotency-Key` again returns the order that it made."""

    async def work(session: AsyncSession) -> tuple[OrderView, bool]:
        row = new.model_dump(exclude={"lines"}) | {
            "id": uuid.uuid4(),
            "idempotency_key": idempotency_key,
        }
        statement = insert(Order).values(row)
        if idempotency_key is not None:
            statement = statement.on_conflict_do_nothing(index_elements=["idempotency_key"])
        identity = await session.scalar(statement.returning(Order.id))
        if identity is None:
            made = await session.scalar(
                select(Order).where(Order.idempotency_key == idempotency_key)
            )
            return OrderView.model_validate(made), False
        session.add_all(
            OrderLine(order_id=identity, position=position, **line.model_dump())
            for position, line in enumerate(new.lines)
        )
        await session.flush()
        return OrderView.model_validate(await session.get_one(Order, identity)), True

    (order, is_new), position = await db.write(work)
    if is_new:
        request.app.state.metrics.orders.inc()
    else:
        response.status_code = 200
    response.headers["Location"] = f"/orders/{order.id}"
    response.headers[POSITION_HEADER] = position
    return order


@router.get("/{order_id}")
async def show(order_id: uuid.UUID, db: Db, after: After) -> OrderView:
    """Shows one order."""

    async def work(session: AsyncSession) -> OrderView | None:
        order = await session.get(Order, order_id)
        return order and OrderView.model_validate(order)

    if (order := await db.read(work, after)) is None:
        raise HTTPException(404, f"no order {order_id}")
    return order


class Page(BaseModel):
    """Which orders to list; `before` continues where the last page ended."""

    model_config = ConfigDict(extra="forbid")

    customer: str | None = None
    status: Status | None = None
    before: AwareDatetime | None = None
    limit: Annotated[int, Field(ge=1, le=100)] = 20


@router.get("")
async def index(db: Db, after: After, page: Annotated[Page, Query()]) -> list[OrderView]:
    """Lists the newest orders."""
    statement = select(Order).order_by(Order.created_at.desc(), Order.id).limit(page.limit)
    if page.customer is not None:
        statement = statement.where(Order.customer == page.customer)
    if page.status is not None:
        statement = statement.where(Order.status == page.status)
    if page.before is not None:
        statement = statement.where(Order.created_at < page.before)

    async def work(session: AsyncSession) -> list[OrderView]:
        return [OrderView.model_validate(order) for order in await session.scalars(statement)]

    return await db.read(work, after) or []


@router.patch("/{order_id}")
async def change(order_id: uuid.UUID, to: StatusChange, response: Response, db: Db) -> OrderView:
    """Changes the status of an order that is not yet closed."""

    async def work(session: AsyncSession) -> OrderView:
        order = await session.get(Order, order_id, with_for_update=True)
        if order is None:
            raise HTTPException(404, f"no order {order_id}")
        if order.status in {"shipped", "cancelled"} and order.status != to.status:
            raise HTTPException(409, f"the order is {order.status}")
        order.status = to.status
        await session.flush()
        return OrderView.model_validate(order)

    order, position = await db.write(work)
    response.headers[POSITION_HEADER] = position
    return order
