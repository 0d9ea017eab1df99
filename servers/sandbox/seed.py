"""The data Acme starts with: the same 57 contacts, 23 tickets, 9 payments and 12 invoices every time."""

from .tables import Store

CONTACTS = 57
TICKETS = 23

_GIVEN = ("Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Hedy", "Katherine", "Linus", "Margaret", "Zoë")
_FAMILY = ("Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Lamarr", "Johnson", "Pauling", "Hamilton")
_COMPANIES = ("Analytical Engines", "Harbour Books", "Nordwind GmbH", "Café Zürich", None)
_SUBJECTS = (
    "Cannot log in",
    "Invoice shows the wrong address",
    "Please delete my account",
    "Export stops at row 10 000",
    "How do I add a colleague?",
)
_STATUSES = ("open", "open", "pending", "closed")
_PRIORITIES = ("normal", "high", "low")


def plant(store: Store) -> None:
    """Fill empty tables."""
    _plant_contacts(store)
    _plant_tickets(store)
    _plant_payments(store)
    _plant_invoices(store)


def _plant_contacts(store: Store) -> None:
    for i in range(CONTACTS):
        given, family = _GIVEN[i % len(_GIVEN)], _FAMILY[(i + i // len(_GIVEN)) % len(_FAMILY)]
        at = _moment(i)
        store.contacts.add(
            {
                "name": {"given": given, "family": family},
                "email": f"{family.lower()}{i + 1}@customer.example",
                "company": _COMPANIES[i % len(_COMPANIES)],
                "phone": None if i % 3 else f"+44 20 7946 {i:04d}",
                "created_at": at,
                "updated_at": at,
            }
        )


def _plant_tickets(store: Store) -> None:
    for i in range(TICKETS):
        status, at = _STATUSES[i % len(_STATUSES)], _moment(i * 2)
        store.tickets.add(
            {
                "subject": _SUBJECTS[i % len(_SUBJECTS)],
                "body": f"Reported by customer {i % CONTACTS + 1}.",
                "status": status,
                "priority": _PRIORITIES[i % len(_PRIORITIES)],
                "contact_id": f"con_{i % CONTACTS + 1:06d}",
                "external_id": f"erp-{i + 1}" if i % 2 == 0 else None,
                "comments_count": 0,
                "created_at": at,
                "updated_at": at,
                "closed_at": at if status == "closed" else None,
            }
        )


def _plant_payments(store: Store) -> None:
    for i in range(9):
        store.payments.add(
            {
                "amount": 1000 + 250 * i,
                "currency": ("EUR", "GBP", "JPY")[i % 3],
                "card_last4": "4000" if i == 4 else "4242",
                "status": "declined" if i == 4 else "succeeded",
                "refunded_amount": 0,
                "contact_id": f"con_{i + 1:06d}",
                "reference": f"order-{i + 1}",
                "description": None,
                "next_action": None,
                "created_at": _moment(i * 3),
            }
        )


def _plant_invoices(store: Store) -> None:
    for i in range(12):
        lines = [
            {"description": f"Seats <{n + 1}> & support", "quantity": n + 1, "amount": 900} for n in range(i % 3 + 1)
        ]
        store.invoices.add(
            {
                "number": f"2026-{i + 1:04d}",
                "contact_id": f"con_{i + 1:06d}",
                "status": ("paid", "open", "draft")[i % 3],
                "currency": "EUR",
                "total": 900 * sum(range(1, i % 3 + 2)),
                "issued_on": _moment(i * 4)[:10],
                "lines": lines,
            }
        )


def _moment(i: int) -> str:
    return f"2026-{i // 28 % 6 + 1:02d}-{i % 28 + 1:02d}T09:{i % 60:02d}:00Z"
