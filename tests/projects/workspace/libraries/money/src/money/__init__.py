"""Amounts of money."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Amount:
    """So many hundredths of a currency."""

    cents: int
    currency: str

    def __str__(self) -> str:
        """Writes it as people do."""
        return f"{self.cents // 100}.{self.cents % 100:02} {self.currency}"
