"""What a shop writes to people: kept, and sent."""

from dataclasses import dataclass

from dataplane.config import Config
from dataplane.parts.ground import Ground, Part
from shared.notifications.delivery import Mailbox
from shared.notifications.domain import Channel
from shared.notifications.http import Http
from shared.notifications.rendering import Renderer
from shared.notifications.service import NotificationService
from shared.notifications.smtp import Smtp
from shared.notifications.vault import Vault
from shared.notifications.worker import Platform, Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications(Part):
    vault: Vault
    sending: Worker


def wire_notifications(ground: Ground) -> Notifications:
    vault, renderer = Vault(ground.config.home), Renderer()
    sending = Worker(
        name=ground.name,
        # Of its own: a burst of mail takes no connection from a request.
        db=ground.writes(db=ground.database("center_app", 4)),
        steward=ground.steward,
        vault=vault,
        renderer=renderer,
        platform=_platform(ground.config),
        clock=ground.clock,
    )
    notifications = NotificationService(
        db=ground.writes(sending.wake),
        reads=ground.db,
        tokens=ground.tokens,
        clock=ground.clock,
        vault=vault,
        renderer=renderer,
    )
    return Notifications(vault=vault, sending=sending, services=ground.admitted(notifications), workers=[sending.run])


def _platform(config: Config) -> Platform:
    """What tenants' notifications go through that have no server of their own."""
    mailbox = Mailbox(config.home, config.mail_from)
    smtp = Smtp(config.smtp_url, config.mail_from, has_own_server=False) if config.smtp_url else mailbox
    return Platform(
        {
            Channel.EMAIL: smtp,
            Channel.SMS: Http(config.sms_url) if config.sms_url else mailbox,
            Channel.PUSH: Http(config.push_url) if config.push_url else mailbox,
        },
        config.mail_from,
    )
