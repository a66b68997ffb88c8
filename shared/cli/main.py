"""The command `center`."""

import typer

from shared.cli import (
    add_ons,
    audit,
    carts,
    check,
    checkout,
    clusters,
    customers,
    decisions,
    domains,
    edges,
    entitlements,
    events,
    features,
    imports,
    mail,
    media,
    notifications,
    operations,
    orders,
    overrides,
    payments,
    plans,
    platform,
    products,
    promotions,
    solutions,
    staff,
    stock,
    storefront,
    tenants,
    tokens,
    users,
    webhooks,
)

app = typer.Typer(
    help="Runs and operates the platform.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
platform.add_to(app)
imports.add_to(app)
check.add_to(app)
for name, group in {
    "tenants": tenants.app,
    "domains": domains.app,
    "clusters": clusters.app,
    "plans": plans.app,
    "features": features.app,
    "add-ons": add_ons.app,
    "overrides": overrides.app,
    "solutions": solutions.app,
    "entitlements": entitlements.app,
    "tokens": tokens.app,
    "decisions": decisions.app,
    "usage": decisions.usage,
    "users": users.app,
    "mail": mail.app,
    "media": media.app,
    "operations": operations.app,
    "edges": edges.app,
    "audit": audit.app,
    "events": events.app,
    "webhooks": webhooks.app,
    "notifications": notifications.app,
    "payments": payments.app,
    "stock": stock.app,
    "carts": carts.app,
    "products": products.app,
    "customers": customers.app,
    "checkout": checkout.app,
    "promotions": promotions.app,
    "orders": orders.app,
    "storefront": storefront.app,
    "staff": staff.app,
    "api-keys": staff.api_keys,
}.items():
    app.add_typer(group, name=name)


def main() -> None:
    app()


if __name__ == "__main__":
    main()
