"""What Notion's webhooks say: thin events that name what changed. A person makes the subscription in the settings.

https://developers.notion.com/reference/webhooks-events-delivery
"""

from clew import events

from .provider import notion

notion.events = events.Events(type="type", id="id", reference="entity.id", occurred="timestamp")
