"""The platform's own templates and triggers, for tenants that have none of their own."""

from datetime import UTC, datetime

from shared.notifications.domain import ESSENTIAL, TRANSACTIONAL, Channel, Template, Trigger

_HTML = "<p>{}</p>\n"


def _mail(name: str, locale: str, subject: str, text: str, category: str = TRANSACTIONAL) -> list[Template]:
    html = "".join(_HTML.format(paragraph) for paragraph in text.split("\n\n"))
    return [Template(name, Channel.EMAIL, locale, subject, f"{text}\n", html, category)]


def _sms(name: str, locale: str, text: str, category: str = TRANSACTIONAL) -> list[Template]:
    return [Template(name, Channel.SMS, locale, "", text, "", category)]


TEMPLATES = (
    *_mail(
        "order-confirmation",
        "",
        "Your order {{ order.number }}",
        "Thank you for your order {{ order.number }}.\n\nTotal: {{ order.total }}",
    ),
    *_mail(
        "order-confirmation",
        "de",
        "Ihre Bestellung {{ order.number }}",
        "Vielen Dank für Ihre Bestellung {{ order.number }}.\n\nSumme: {{ order.total }}",
    ),
    *_sms("order-confirmation", "", "Thank you for your order {{ order.number }}: {{ order.total }}."),
    *_mail(
        "order-shipped",
        "",
        "Your order {{ order.number }} is on its way",
        "We have sent your order {{ order.number }}."
        "{% if order.tracking_number %}\n\n{{ order.carrier }} {{ order.tracking_number }}{% endif %}",
    ),
    *_mail(
        "order-shipped",
        "de",
        "Ihre Bestellung {{ order.number }} ist unterwegs",
        "Wir haben Ihre Bestellung {{ order.number }} versandt."
        "{% if order.tracking_number %}\n\n{{ order.carrier }} {{ order.tracking_number }}{% endif %}",
    ),
    *_mail(
        "order-refunded",
        "",
        "Your refund for order {{ order.number }}",
        "We have given back {{ order.refund }} for your order {{ order.number }}.",
    ),
    *_mail(
        "order-refunded",
        "de",
        "Ihre Erstattung zur Bestellung {{ order.number }}",
        "Wir haben Ihnen {{ order.refund }} zur Bestellung {{ order.number }} erstattet.",
    ),
    *_mail(
        "order-canceled",
        "",
        "Your order {{ order.number }} is canceled",
        "Your order {{ order.number }} is canceled. What you have paid is given back.",
    ),
    *_mail(
        "order-canceled",
        "de",
        "Ihre Bestellung {{ order.number }} ist storniert",
        "Ihre Bestellung {{ order.number }} ist storniert. Was Sie bezahlt haben, wird erstattet.",
    ),
    *_mail(
        "password-reset",
        "",
        "Choose a new password",
        "Somebody asked for a new password. Choose one here:\n\n{{ url }}\n\nIf it was not you, do nothing.",
        ESSENTIAL,
    ),
    *_mail(
        "staff-invitation",
        "",
        "Your invitation to {{ shop }}",
        "You are invited to join the people who run {{ shop }}. Accept it here within {{ days }} days:\n\n{{ url }}\n\n"
        "If you do not know the shop, do nothing.",
        ESSENTIAL,
    ),
    *_mail(
        "staff-invitation",
        "de",
        "Ihre Einladung zu {{ shop }}",
        "Sie sind eingeladen, {{ shop }} mit zu betreiben. Nehmen Sie das innerhalb von {{ days }} Tagen hier an:"
        "\n\n{{ url }}\n\nWenn Sie den Shop nicht kennen, tun Sie nichts.",
        ESSENTIAL,
    ),
    *_mail("product-created", "", "New: {{ event.title }}", "{{ event.title }} is new in the shop."),
)


def of(name: str, channel: Channel) -> list[Template]:
    return [each for each in TEMPLATES if each.name == name and each.channel is channel]


def _of_order(name: str, happened: str) -> Trigger:
    always = datetime.fromtimestamp(0, UTC)
    return Trigger(name, f"order.{happened}", name, Channel.EMAIL, "order.email", "", always)


# A tenant's own trigger of the same name, for the same events, takes the place of one of these.
TRIGGERS = (
    _of_order("order-confirmation", "placed"),
    _of_order("order-shipped", "fulfilled"),
    _of_order("order-refunded", "refunded"),
    _of_order("order-canceled", "canceled"),
)


def triggers(event_type: str) -> list[Trigger]:
    return [each for each in TRIGGERS if each.event_type == event_type]
