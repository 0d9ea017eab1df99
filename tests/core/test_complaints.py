"""Which arguments a provider complains about."""

from typing import Any

import pytest

from clew.core.complaints import MOST, complaints


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ({"errors": [{"resource": "Issue", "field": "title", "code": "missing"}]}, {"title": "missing"}),
        ({"errors": [{"source": {"pointer": "/data/attributes/name"}, "detail": "no"}]}, {"name": "no"}),
        ({"invalid-params": [{"name": "age", "reason": "positive"}]}, {"age": "positive"}),
        ({"errors": {"Email": ["bad", "worse"]}}, {"Email": "bad"}),
        ({"violations": [{"propertyPath": "a.b", "message": "no"}]}, {"a.b": "no"}),
        ({"detail": [{"loc": ["body", "items", 0, "id"], "msg": "no", "type": "t"}]}, {"items.0.id": "no"}),
        ({"detail": [{"loc": ["query"], "msg": "no"}]}, {"query": "no"}),
        ({"error": {"param": "amount", "message": "too small"}}, {"amount": "too small"}),
        ({"error": {"errors": [{"location": "q", "message": "no"}]}}, {"q": "no"}),
        ({"error": {"details": [{"fieldViolations": [{"field": "f", "description": "no"}]}]}}, {"f": "no"}),
        ({"error": {"details": [{"target": "t", "message": "no"}]}}, {"t": "no"}),
        ({"errorMessages": [], "errors": {"summary": "needed"}}, {"summary": "needed"}),
        ({"message": {"title": ["can't be blank"]}}, {"title": "can't be blank"}),
        ({"details": {"email": [{"description": "used", "error": "DuplicateValue"}]}}, {"email": "used"}),
        ({"errors": {"a": {"b": {"_errors": [{"code": "C", "message": "no"}]}}}}, {"a.b": "no"}),
        ([{"message": "Required", "errorCode": "X", "fields": ["LastName", 7]}], {"LastName": "Required"}),
        ({"userErrors": [{"field": ["input", "title"], "message": "blank"}]}, {"title": "blank"}),
        ({"errors": [{"code": "INVALID", "in": "email", "message": "no"}]}, {"email": "no"}),
        ({"o:errorDetails": [{"o:errorPath": "companyName", "detail": "no"}]}, {"companyName": "no"}),
        ({"errors": [{"field": "a"}]}, {"a": "not accepted"}),
        ({"errors": [{"pointer": "#/To", "detail": "bad"}]}, {"To": "bad"}),
        ({"errors": ["words"], "message": "m", "code": 7}, {}),
        ({"errors": {"a b": "prose"}}, {}),
        ({"errors": {"x": 5}}, {}),
        ("text", {}),
        (None, {}),
    ],
)
def test_fields_are_found_in_every_known_shape(data: Any, expected: dict[str, str]) -> None:
    assert complaints(data) == expected


def test_no_more_than_a_few_fields_and_no_deep_search() -> None:
    assert len(complaints({"errors": [{"field": f"f{n}"} for n in range(100)]})) == MOST
    deep: dict[str, Any] = {"field": "x"}
    for _ in range(50):
        deep = {"errors": [deep]}
    assert complaints(deep) == {}
    wide: dict[str, Any] = {"_errors": ["no"]}
    for _ in range(300):
        wide = {"k": wide}
    assert complaints({"errors": wide}) == {}
    assert complaints({"errors": [{"field": "f" * 500}]}) == {}
