"""The books."""

from fastapi import APIRouter, HTTPException

router = APIRouter(tags=["books"])
_BORROWED: dict[str, str] = {}


@router.put("/books/{isbn}/borrower")
async def borrow(isbn: str, name: str) -> dict[str, str]:
    """Lends a book, unless somebody has it."""
    if _BORROWED.setdefault(isbn, name) != name:
        raise HTTPException(409, "somebody else has it")
    return {"isbn": isbn, "borrower": name}
