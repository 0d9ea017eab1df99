"""Deliveries that are not what they seem, for every scheme that is declared: no false accepts, no false refusals."""

import base64
import json
from dataclasses import replace

from clew.connectors.webhooks.catalog import SCHEMES
from clew.core.webhooks import Event, Hmac, Jwt, Refused, SharedSecret

from .webhook_cases import CASES, UNSENDABLE, every, judge, of, reads_json, refused, send, window
from .webhook_senders import FORM, NOW, OTHER, Case, Sent, claims_for, key, make_token, pem, unpadded


def places(case: Case) -> list[str]:
    """The headers that the proof reads."""
    proof = case.proof
    found = [getattr(proof, name, "") for name in ("signature", "id", "place", "subject", "verified")]
    timestamp = getattr(proof, "timestamp", None)
    found.append("" if timestamp is None else timestamp.place)
    return [each for each in found if isinstance(each, str) and each and ":" not in each]


def test_every_proof_of_every_scheme_is_attacked() -> None:
    assert len(CASES) + len(UNSENDABLE) == sum(len(each.proofs) for each in SCHEMES.values())


@every
def test_what_the_provider_sends_is_accepted_whatever_the_case_of_header_names(case: Case) -> None:
    sent = send(case)
    for change in (str, str.upper, str.lower):
        found = judge(case, replace(sent, headers=tuple((change(name), value) for name, value in sent.headers)))
        assert isinstance(found, Event), found.reason
        assert found.body == sent.body


@of([case for case in CASES if case.proof.covers_body])
def test_a_changed_body_is_refused(case: Case) -> None:
    sent = send(case)
    flipped = bytes([sent.body[0] ^ 1]) + sent.body[1:]
    for body in (flipped, sent.body + b"x", sent.body[:-1], b"", sent.body + b"\xff", sent.body.replace(b"e", b"E", 1)):
        if body != sent.body:
            refused(case, replace(sent, body=body))


@every
def test_other_secrets_none_and_empty_ones_are_refused(case: Case) -> None:
    sent = send(case)
    refused(case, sent, secrets=sent.others)
    for nothing in ((), ("",), ("   ", "\n"), ("{}",)):
        found = refused(case, sent, secrets=nothing)
        assert found.code in (Refused.NO_SECRET, Refused.KEY_NEEDED), found
        assert found.code is Refused.NO_SECRET, found
        assert "clew webhooks set" in found.reason


@every
def test_after_a_rotation_the_old_secret_and_the_new_one_hold(case: Case) -> None:
    sent = send(case)
    found = judge(case, sent, secrets=(sent.others[-1], *sent.secrets))
    assert isinstance(found, Event), found.reason
    found = judge(case, sent, secrets=(*sent.secrets, sent.others[-1]))
    assert isinstance(found, Event), found.reason


@every
def test_a_changed_shortened_or_missing_signature_is_refused(case: Case) -> None:
    sent = send(case)
    for place in places(case):
        value = next(value for name, value in sent.headers if name.lower() == place.lower())
        middle = len(value) // 2 + 4
        other = "0" if value[middle : middle + 1] != "0" else "1"
        for changed in (
            value[:-1],
            value[: len(value) // 2],
            value[:middle] + other + value[middle + 1 :],
            "",
            " ",
            "\x00",
            "é" * 40,
            value + "0",
            value[::-1],
        ):
            refused(case, sent.with_header(place, changed))
        refused(case, replace(sent, headers=tuple(each for each in sent.headers if each[0].lower() != place.lower())))


@every
def test_a_header_that_is_there_twice_is_refused(case: Case) -> None:
    sent = send(case)
    for place in places(case):
        value = next(value for name, value in sent.headers if name.lower() == place.lower())
        for second in (value, "x"):
            found = refused(case, replace(sent, headers=(*sent.headers, (place.upper(), second))))
            assert found.code is Refused.AMBIGUOUS


@of([case for case in CASES if window(case) is not None])
def test_old_and_future_deliveries_are_refused(case: Case) -> None:
    seconds = window(case)
    assert seconds is not None
    sent = send(case)
    assert refused(case, sent, now=NOW + seconds + 100).code is Refused.TOO_OLD
    assert refused(case, sent, now=NOW - 400).code is Refused.IN_FUTURE
    assert isinstance(judge(case, sent, now=NOW + min(seconds, 600) - 30), Event)


@of([case for case in CASES if not reads_json(case)])
def test_bodies_that_are_empty_or_no_text_are_verified_as_bytes(case: Case) -> None:
    proof = case.proof
    bodies = [b"", b"\xff\xfe\x00\x80", b"\x00" * 100, "日本".encode("utf-16")]
    if "sorted_form" in getattr(proof, "signed", ""):
        bodies = [b"", b"a=%FF&b=\xff", b"a=1&a=1&b="]
    for body in bodies:
        found = judge(case, send(case, body=body))
        assert isinstance(found, Event), found.reason
        if body and proof.covers_body:
            refused(case, replace(send(case, body=body), body=body.replace(b"\xff", b"\xef\xbf\xbd") + b"1"))


TOKENS = [case for case in CASES if isinstance(case.proof, Jwt)]


@of(TOKENS)
def test_a_token_cannot_choose_how_it_is_verified(case: Case) -> None:
    proof = case.proof
    assert isinstance(proof, Jwt)
    sent = send(case)
    url = sent.url.partition("?jwt=")[0]
    claims = claims_for(proof, case.body, url, NOW)
    right = proof.algorithms[0]
    public = pem("RS256", "ours")
    confused = _hs_with_the_public_key(claims, public)
    forged = [
        make_token("none", claims, "ours"),
        make_token("none", claims, "ours", {"alg": "None"}),
        make_token("none", claims, "ours").rstrip(".") + ".",
        make_token(right, claims, "theirs"),
        make_token("RS256" if right != "RS256" else "ES256", claims, "ours"),
        make_token("HS256", claims, "theirs"),
        confused,
        make_token(right, claims, "theirs", {"jku": "https://evil.example/keys", "kid": "1"}),
        make_token(right, claims, "theirs", {"x5u": "https://evil.example/cert.pem"}),
        make_token(right, claims, "theirs", {"jwk": {"kty": "oct", "k": unpadded(b"k")}}),
        make_token(right, claims, "ours", {"crit": ["b64"], "b64": False}),
        make_token(right, {**claims, "exp": "never", "iat": "x"}, "ours"),
        make_token(right, {**claims, "exp": True, "iat": True}, "ours"),
        make_token(right, claims, "ours") + ".x",
        make_token(right, claims, "ours") + "=",
    ]
    for token in forged:
        refused(case, _with_token(sent, proof, token))
    if proof.audience != "any":
        refused(case, _with_token(sent, proof, make_token(right, {**claims, "aud": "somebody-else"}, "ours")))
        refused(case, _with_token(sent, proof, make_token(right, {**claims, "aud": [1, None]}, "ours")))
    if proof.issuer:
        refused(case, _with_token(sent, proof, make_token(right, {**claims, "iss": "https://evil.example/"}, "ours")))
    assert isinstance(judge(case, _with_token(sent, proof, make_token(right, claims, "ours"))), Event)


def _hs_with_the_public_key(claims: dict[str, object], public: str) -> str:
    import hmac

    head = unpadded(b'{"alg":"HS256"}')
    content = f"{head}.{unpadded(json.dumps(claims).encode())}"
    return f"{content}.{unpadded(hmac.digest(public.encode(), content.encode(), 'sha256'))}"


def _with_token(sent: Sent, proof: Jwt, token: str) -> Sent:
    if proof.place.startswith("query:"):
        return replace(sent, url=f"{sent.url.partition('?')[0]}?jwt={token}")
    if proof.place.startswith("json:"):
        return replace(sent, body=json.dumps({**json.loads(sent.body), "validationTokens": [token]}).encode())
    return sent.with_header(proof.place, proof.prefix + token)


def test_a_public_key_is_never_the_key_of_an_hmac() -> None:
    """The confusion of RS256 and HS256, in every scheme with a shared secret."""
    public = pem("RS256", "ours")
    for case in CASES:
        if isinstance(case.proof, Hmac) or (isinstance(case.proof, Jwt) and case.proof.symmetric):
            found = refused(case, send(case), secrets=(public,))
            assert found.code is Refused.BAD_SECRET


def test_a_standard_webhooks_public_key_cannot_be_used_to_forge_the_hmac() -> None:
    case = next(case for case in CASES if case.scheme.name == "standard-webhooks" and case.number == 2)
    public = send(case).secrets[0]
    assert public.startswith("whpk_")
    hmac_case = next(case for case in CASES if case.scheme.name == "standard-webhooks" and case.number == 0)
    raw = public.removeprefix("whpk_")
    from clew.core.webhooks.signing import sign

    made = sign(case.scheme, b"{}", raw, now=NOW)
    forged = Sent(tuple(made.headers.items()), b"{}", "", (public,), ())
    assert refused(hmac_case, forged).code is Refused.BAD_SECRET


def test_one_forged_item_among_good_ones_is_refused() -> None:
    case = next(case for case in CASES if case.scheme.name == "microsoft-graph")
    for items in ('[{"clientState":"s3cret-for-tests"},{"clientState":"x"}]', '[{"clientState":"s3cret-for-tests"},{}]',
                  '[]', '[{"clientState":null}]', '{}', '"s3cret-for-tests"'):  # fmt: skip
        refused(case, send(case, body=b'{"value":' + items.encode() + b"}"))


def test_a_stripped_body_hash_or_an_emptied_body_does_not_pass_for_twilio() -> None:
    case = next(case for case in CASES if case.scheme.name == "twilio-json")
    both = replace(case, scheme=SCHEMES["twilio"])
    sent = send(case)
    for body in (b"", b"&", b"=", b"{}", b"a=b"):
        refused(both, replace(sent, body=body))
        refused(both, replace(sent, body=body, headers=(*sent.headers[1:], ("Content-Type", FORM))))
    refused(both, replace(sent, url=sent.url.partition("&bodySHA256")[0]))
    refused(both, replace(sent, url=sent.url + "&bodySHA256=" + "0" * 64))


def test_mailgun_signs_forms_too() -> None:
    case = Case(SCHEMES["mailgun"], 1)
    import hmac

    stamp, token = str(int(NOW)), "t" * 50
    signature = hmac.digest(b"s3cret-for-tests", f"{stamp}{token}".encode(), "sha256").hex()
    body = f"timestamp={stamp}&token={token}&signature={signature}&event=opened".encode()
    sent = Sent((("content-type", FORM),), body, "", ("s3cret-for-tests",), (OTHER["text"],))
    assert isinstance(judge(case, sent), Event)
    refused(case, sent, secrets=(OTHER["text"],))
    refused(case, replace(sent, body=body.replace(b"token=t", b"token=u")))
    refused(case, replace(sent, body=body + b"&token=x"))


def test_shared_secrets_are_not_prefixes() -> None:
    for case in CASES:
        if isinstance(case.proof, SharedSecret):
            sent = send(case)
            for wrong in (sent.secrets[0][:-1], sent.secrets[0] + "x", sent.secrets[0].upper()):
                refused(case, sent, secrets=(wrong,))


def test_the_keys_of_these_tests_differ() -> None:
    assert pem("RS256", "ours") != pem("RS256", "theirs")
    assert key("rsa", "ours") is key("rsa", "ours")
    assert base64.b64decode("c2VjcmV0LWZvci10ZXN0cw==") == b"secret-for-tests"
