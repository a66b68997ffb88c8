"""The platform's own templates, for tenants that have none of their own."""

from shared.notifications.domain import ESSENTIAL, TRANSACTIONAL, Channel, Template

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
        "We have sent your order {{ order.number }}.",
    ),
    *_mail(
        "password-reset",
        "",
        "Choose a new password",
        "Somebody asked for a new password. Choose one here:\n\n{{ url }}\n\nIf it was not you, do nothing.",
        ESSENTIAL,
    ),
    *_mail("product-created", "", "New: {{ event.title }}", "{{ event.title }} is new in the shop."),
)


def of(name: str, channel: Channel) -> list[Template]:
    return [each for each in TEMPLATES if each.name == name and each.channel is channel]
