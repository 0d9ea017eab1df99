"""HubSpot's webhooks: a list of up to 100 events in each delivery, signed as v3.

They belong to an app, not to an account: addresses and types are set in the app's own configuration, so there is
nothing here that could subscribe. An `eventId` is not promised to be unique, so it does not tell events apart.
https://developers.hubspot.com/docs/api-reference (webhooks)
"""

from clew import events

from .provider import hubspot

hubspot.events = events.Events(type="subscriptionType", reference="objectId", occurred="occurredAt")
