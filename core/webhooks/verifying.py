"""From a delivery to an event, or to the reason why not. Never an exception, whatever the sender sent."""

import math
import time
from collections.abc import Iterable, Sequence

from clew.core.secret import Secret
from clew.core.webhooks.attempts import Attempt, Known, Proof, Proven, nothing_known
from clew.core.webhooks.delivery import Delivery, Refused, RefusedError
from clew.core.webhooks.event import SEAL, Event, Refusal
from clew.core.webhooks.scheme import Scheme
from clew.core.webhooks.secrets import sort
from clew.core.webhooks.shortway import LONGEST, UNSURE, MismatchError

_LISTS = (list, tuple)


def verify(
    scheme: Scheme | Sequence[Scheme],
    delivery: Delivery,
    secrets: Iterable[Secret],
    *,
    now: float | None = None,
    tolerance: float | None = None,
    known: Known = nothing_known,
) -> Event | Refusal:
    """Verify a delivery with every live secret, on its raw bytes.

    Of several schemes the first that the sender used decides. `now` is the clock (seconds since 1970), `tolerance`
    replaces the scheme's window for timestamps. `known` looks up keys that were fetched before; a refusal whose
    `fetch` is a URL becomes another answer once that key is known. Without a secret every delivery is refused.
    """
    try:
        clock = time.time() if now is None else now
        if not math.isfinite(clock) or (tolerance is not None and not 0 <= tolerance < math.inf):
            raise RefusedError(Refused.MALFORMED, "the clock or the tolerance is no number of seconds")
        chosen = scheme if isinstance(scheme, Scheme) else _chosen(scheme, delivery)
        held = secrets if isinstance(secrets, _LISTS) else tuple(secrets)
        if chosen.short_ways and len(delivery.body) <= LONGEST:
            try:
                for proof, short in chosen.short_ways:
                    found = short(delivery, held, clock, tolerance)
                    if found is not None:
                        if chosen.elsewhere:
                            chosen.check_names(delivery)
                        return Event(chosen, proof, delivery, SEAL, found)
            except MismatchError:
                if len(chosen.proofs) == 1:
                    raise
            except UNSURE:
                pass  # the long way knows why
        return _verified(chosen, Attempt(delivery, sort(held), clock, tolerance, known))
    except RefusedError as refused:
        reason = refused.reason
        if refused.code in (Refused.NO_SECRET, Refused.BAD_SECRET):
            name = scheme.name if isinstance(scheme, Scheme) else next((each.name for each in scheme), "NAME")
            reason = f"{reason}. Set it with: clew webhooks set {name}"
        return Refusal(refused.code, reason, refused.url)
    except Exception as error:  # fail closed: whatever goes wrong, nothing is accepted
        return Refusal(Refused.INTERNAL, f"it could not be verified: {type(error).__name__}")


def _chosen(scheme: Sequence[Scheme], delivery: Delivery) -> Scheme:
    if len(scheme) == 1:
        return scheme[0]
    found = next((each for each in scheme if any(way.applies(delivery) for way in each.proofs)), None)
    if found is None:
        raise RefusedError(Refused.NO_SIGNATURE, "there is no signature of a kind that is declared")
    return found


def _verified(scheme: Scheme, attempt: Attempt) -> Event:
    proofs = scheme.proofs
    if len(proofs) == 1:
        proven = proofs[0].prove(attempt)
        if scheme.conditional and not proofs[0].applies(attempt.delivery):
            raise RefusedError(Refused.NO_SIGNATURE, "there is no signature of a kind that this scheme knows")
        return _event(scheme, proofs[0], proven, attempt.delivery)
    first: RefusedError | None = None
    for proof in proofs:
        if not proof.applies(attempt.delivery):
            continue
        try:
            return _event(scheme, proof, proof.prove(attempt), attempt.delivery)
        except RefusedError as refused:
            # A way whose secret is of the other kind says the least.
            if first is None or first.code is Refused.BAD_SECRET:
                first = refused
    if first is None:
        attempt.texts()
        raise RefusedError(Refused.NO_SIGNATURE, "there is no signature of a kind that this scheme knows")
    raise first


def _event(scheme: Scheme, proof: Proof, proven: Proven, delivery: Delivery) -> Event:
    scheme.check_names(delivery)
    return Event(scheme, proof, delivery, SEAL, (proven.secret, proven.signed_at), claims=proven.claims)
