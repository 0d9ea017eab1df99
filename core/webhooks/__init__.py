"""Webhooks: how senders prove who they are, as data, and the one step from a delivery to an event.

    from clew import webhooks

    scheme = webhooks.Scheme(
        name="acme",
        proof=webhooks.Hmac(
            signature="Acme-Signature",
            prefix="v1=",
            separator=",",
            signed="{ts}.{body}",
            timestamp=webhooks.Timestamp("Acme-Signature", prefix="t=", separator=","),
        ),
        delivery_id="json:id",
        event_type="json:type",
    )
    found = webhooks.verify(scheme, webhooks.Delivery(headers, body), [Secret("…")])

`found` is an `Event` or a `Refusal`. Nothing is read from the network here; `KeyRing` fetches the keys of providers
that publish them, by a function that it is given.
"""

from clew.core.webhooks.answering import Answer, answer
from clew.core.webhooks.attempts import Known, Proof
from clew.core.webhooks.declared import declare
from clew.core.webhooks.delivery import Delivery, Refused
from clew.core.webhooks.event import Event, Refusal
from clew.core.webhooks.handshakes import Handshake
from clew.core.webhooks.keyplaces import KeyUrl
from clew.core.webhooks.keyring import Fetch, KeyRing
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.sharedsecrets import ClientCertificate, SharedSecret
from clew.core.webhooks.signatures import BodyHash, Hash, Hmac, PublicKey
from clew.core.webhooks.times import Timestamp
from clew.core.webhooks.tokens import Jwt
from clew.core.webhooks.urls import UrlForm
from clew.core.webhooks.verifying import verify

__all__ = [
    "Answer",
    "BodyHash",
    "ClientCertificate",
    "Delivery",
    "Event",
    "Fetch",
    "Handshake",
    "Hash",
    "Hmac",
    "Jwt",
    "KeyRing",
    "KeyUrl",
    "Known",
    "Proof",
    "PublicKey",
    "Refusal",
    "Refused",
    "Scheme",
    "SharedSecret",
    "Timestamp",
    "UrlForm",
    "answer",
    "declare",
    "verify",
]
