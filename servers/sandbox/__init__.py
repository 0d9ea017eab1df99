"""Acme: a small, honest, fake SaaS as a real HTTP server on loopback.

Acme plays the third party: it has an OAuth server, quotas, paging, webhooks, two API versions, and switches that make
it fail the way real providers fail. Nothing in here knows who calls it. The demo, connector authors, attack tests and
evals use it.

    async with Sandbox(access_token_seconds=5) as sandbox:      # also: with Sandbox() as sandbox
        sandbox.fault("drop_after_commit", method="POST", path="/api/payments")
        ...                                                     # sandbox.url, sandbox.pat, sandbox.state

    python -m clew.servers.sandbox --port 0 --set rate_limit=10 # prints {"url": "http://127.0.0.1:…"} when ready

**OAuth.** Clients `clew-demo` (public) and `acme-service` (secret `acme-service-secret`, basic or post); they redirect
to any loopback address and port. People `ada@acme.example` (the default) and `grace@acme.example`, by `login_hint`.

    GET  /.well-known/oauth-authorization-server  RFC 8414
    GET  /oauth/authorize   response_type=code client_id redirect_uri code_challenge code_challenge_method=S256
                            scope? state? login_hint? -> consent page with buttons `approve` = 1 and 0
    POST /oauth/authorize   the same fields and approve=1|0
                            -> 303 redirect_uri?code&iss&state, or ?error=access_denied&iss&state
    POST /oauth/token       authorization_code | refresh_token | client_credentials (acme-service) | device_code
                            -> {access_token, token_type: "Bearer", expires_in, scope, refresh_token?}
                            refresh tokens are single use; a second use kills the family (`invalid_grant`)
    POST /oauth/revoke      RFC 7009: token -> 200; a refresh token ends the whole grant
    POST /oauth/device_authorization  -> {device_code, user_code, verification_uri, verification_uri_complete,
                            expires_in, interval}
    GET|POST /device        user_code; approve=1|0

Scopes: `contacts`, `tickets`, `payments`, `messages`, `webhooks` with `:read` and `:write`, and `invoices:read`. A
personal token is a Bearer too: `acme_pat_sandbox` (`SEEDED_PAT`, every scope) is there at start,
`sandbox.mint_pat(scopes=…)` makes more.

**API** (`Authorization: Bearer …`; send `Acme-Version: 2026-07-01`, else the oldest version answers). Lists take
`limit` (1-100, default 20) and `cursor`, oldest first, and answer `{"data": […], "next_cursor": "…" | null}`. Unknown
body fields are 422. Times are RFC 3339 UTC, amounts are minor units. The scope is the path's first word with `:read`
for GET and `:write` for the rest; `/api/me` needs none. Creation answers 201 with the object, deletion 204.

    GET    /api/me                        {id, email, name, account: {id, name}, scopes: […]}
    GET    /api/contacts                  ?q= (name, email, company), ?email= (exact)
    POST   /api/contacts                  name, email, company?, phone?; 409 email_taken (error.existing_id)
    GET    /api/contacts/{id}             with ETag; If-None-Match -> 304
    PATCH  /api/contacts/{id}             any field; If-Match? -> 412 precondition_failed
    DELETE /api/contacts/{id}             If-Match?
    GET    /api/tickets                   ?status=open|pending|closed, ?external_id=, ?contact_id=
    POST   /api/tickets                   subject, body?, priority? (low|normal|high), contact_id?, external_id?;
                                          409 external_id_taken (error.existing_id)
    GET    /api/tickets/{id}
    GET    /api/tickets/{id}/comments
    POST   /api/tickets/{id}/comments     text
    POST   /api/tickets/{id}/close        -> 200; 409 already_closed
    GET    /api/payments                  ?status=, ?contact_id=, ?reference=
    POST   /api/payments                  amount, currency, card, contact_id?, reference?, description?
                                          card 4242 succeeds; 4000 -> 402 card_declined (error.payment_id,
                                          error.decline_code); 3220 -> 201 with status requires_action and
                                          next_action {type: "redirect_to_url", url}
    GET    /api/payments/{id}
    POST   /api/payments/{id}/refunds     amount? (default: the rest); 409 already_refunded | not_refundable
    GET    /api/payments/{id}/refunds
    GET|POST /pay/{id}                    next_action.url, a page for a person: token, decision=confirm|fail
    POST   /api/messages                  from, to, subject, text -> 202, status accepted; later delivered, or bounced
                                          for …@bounce.example; unknown from -> 200 {ok: false, error: "unknown_sender"}
    GET    /api/messages, /api/messages/{id}
    GET    /api/invoices, /api/invoices/{id}   JSON, or XML for Accept: application/xml
    GET    /api/webhooks, /api/webhooks/{id}
    POST   /api/webhooks                  url (http, loopback), events? (default ["*"]) -> with secret "whsec_…", once
    POST   /api/webhooks/{id}/rotate      -> 200 with a new secret; the old one signs too until the next rotation
    DELETE /api/webhooks/{id}
    GET    /api/webhooks/{id}/deliveries

    Contact  {id: "con_000001", name: {given, family}, email, company | null, phone | null, created_at, updated_at}
             in 2026-01-01 `full_name: "Given Family"` stands where `name` is, in requests and answers
    Ticket   {id: "tic_000001", subject, body, status, priority, contact_id | null, external_id | null,
             comments_count, created_at, updated_at, closed_at | null}
    Comment  {id: "com_000001", ticket_id, author, text, created_at}
    Payment  {id: "pay_000001", amount, currency, card_last4, status, refunded_amount, contact_id | null,
             reference | null, description | null, next_action | null, created_at}; status: succeeded | declined |
             requires_action | failed | refunded | partially_refunded
    Refund   {id: "ref_000001", payment_id, amount, currency, status: "succeeded", created_at}
    Message  {id: "msg_000001", ok: true, from, to, subject, status: accepted | delivered | bounced,
             bounce: {code, reason} | null, created_at}; from: support@acme.example | billing@acme.example
    Invoice  {id: "inv_000001", number, contact_id, status: draft | open | paid, currency, total, issued_on,
             lines: [{description, quantity, amount}]}
    in XML   <invoices xmlns="https://acme.example/ns/invoice" nextCursor?><invoice id status><number/><contactId/>
             <issuedOn/><total currency/><lines><line quantity><description/><amount/></line></lines></invoice>
             </invoices>
    Webhook  {id: "whk_000001", url, events, disabled, created_at}
    Delivery {id: "dlv_000001", event_id, event_type, attempts, status: pending | delivered | failed,
             response_status | null}

`Idempotency-Key` (1-255 characters) on POST of payments, refunds and messages is kept 24 h per account: a repeat gets
the first answer with `Idempotent-Replayed: true`; other parameters 422 idempotency_key_reused; the first still running
409 idempotency_key_in_use; a 400, 415 or 422 is not kept.

**Answers.** Errors are `{"error": {"type", "code", "message", "field"?}}`. Every answer has `X-Request-Id`; `/api` also
`Acme-Version`, `X-RateLimit-Limit`, `-Remaining`, `-Reset` (UTC epoch seconds); the oldest version adds `Deprecation`,
`Sunset`, `Link`. Codes: 400 invalid_json, invalid_cursor, unsupported_version; 401 token_missing, token_invalid,
token_expired (+ WWW-Authenticate); 403 insufficient_scope (+ WWW-Authenticate scope=), quota (+ Retry-After: the burst
limit in disguise); 404 not_found; 405 method_not_allowed; 409, 412 see above; 413 too_large; 415
unsupported_media_type; 421 misdirected; 422 invalid_field, missing_field, unknown_field; 429 rate_limited,
too_many_concurrent (+ Retry-After seconds); 500 internal_error.

**Webhooks** follow Standard Webhooks: webhook-id, webhook-timestamp, webhook-signature `v1,<base64>` (two of them after
a rotation), body `{"type", "timestamp", "data": object}` in the newest version. Types: contact.created|updated|deleted,
ticket.created|commented|closed, payment.succeeded|declined|requires_action|failed|refunded (data: Refund),
message.delivered|bounced. Sent again until 2xx; 410 disables the endpoint.

**Settings**: keyword arguments of `Sandbox`, `--set name=value`; see `Settings`.

    access_token_seconds 600        refresh_token_seconds 2592000   code_seconds 60        device_seconds 600
    device_interval_seconds 5       rate_limit 300                  rate_window_seconds 60
    rate_algorithm fixed | bucket | sliding (the strict one: exact for every stretch of time)
    rate_enforced true (false: admit and count only)                count_refused false    max_concurrent null
    burst_limit null                burst_seconds 1                 message_delivery_seconds 0.2
    webhook_retry_seconds (0.2, 0.5, 1, 2)                          webhook_timeout_seconds 5

**Control** (neither counted nor logged): POST, GET, DELETE /_sandbox/faults; POST /_sandbox/reset {keep_tokens?}; GET
/_sandbox/log; GET /_sandbox/state; POST /_sandbox/tokens {scopes?, expires_in?} -> {token}; POST /_sandbox/clock
{advance: seconds}, which moves Acme's clock for expiry, quotas and keys. In process: `sandbox.fault(…)`,
`clear_faults()`, `reset()`, `mint_pat(…)`, `log_in(…)` (a token answer without a browser), `advance(seconds)`,
`await wait_until(condition)`; `state.requests["POST /api/payments"]`, `state.commits`, `state.committed("payment")`,
`state.log`, `state.tokens.issued | refreshed | reused | families_revoked`, `state.limits.admitted | refused |
most_in_window() | peak_concurrent`, `state.deliveries`.

**Faults**: `{"fault", "method"?, "path"? (prefix, default "/api"), "times"? (default 1; null: until cleared), …}`; the
oldest that matches acts.

    slow                seconds (1; null: until cleared); when: after (done, then wait) | before | during (payments and
                        refunds: the key is taken, nothing done yet)
    drip                the body byte by byte, `seconds` (0.05) apart
    drop_before_commit  connection aborted, nothing done; how: reset | eof
    drop_after_commit   done, then aborted without a byte; how: reset | eof
    rate_limit          429 with Retry-After `seconds` (1; null: no header); as_date: as an HTTP date
    quota               403 code quota with Retry-After `seconds` (1)
    server_error        status (500); html: true; when: before | after (done, then the error); seconds: Retry-After
    truncate            Content-Length promised, half the body, closed
    rename_field        field ("id"), to ("identifier"), everywhere in the answer
    remove_field        field
    set_field           field, value
    expire_token        at once: every OAuth access token is expired; refresh works
    revoke_grant        at once: every OAuth grant is revoked; refresh says invalid_grant
    reject_token        401 token_expired whatever the token
    html                200 text/html login page
    bad_utf8            bytes in the body that are not UTF-8
    huge                200 JSON of `bytes` (2 GiB) bytes, streamed
    redirect_loop       302 without end
    cursor_loop         next_cursor leads to this same page (use times: null)
    wrong_content_type  content_type ("text/plain")
    webhook_duplicate, webhook_lost, webhook_forged (wrong signature), webhook_stale (an hour old),
    webhook_reorder (after the endpoint's next event)   event (prefix of the type)
"""

from .app import create_app
from .server import Sandbox
from .settings import Settings
from .state import State
from .tokens import SEEDED_PAT

__all__ = ["SEEDED_PAT", "Sandbox", "Settings", "State", "create_app"]
