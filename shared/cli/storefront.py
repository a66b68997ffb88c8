"""center storefront: how a shop's pages look."""

from typing import Annotated

import typer
from rich.console import Group

from center.dataplane.v1 import storefront_settings_service_pb2 as pb
from shared.cli.call import Call, TenantArgument, card, operator
from shared.runtime.ids import uuid7

app = typer.Typer(help="How a shop's pages look.", no_args_is_help=True)

SETTINGS = pb.DESCRIPTOR.services_by_name["StorefrontSettingsService"]


@operator(app)
async def show(call: Call, tenant: TenantArgument) -> None:
    """Show a shop's theme."""
    answer = await call.in_shop(tenant, SETTINGS, "GetTheme", pb.GetThemeRequest())
    call.show(answer.theme, lambda: _shown(answer.theme))


@operator(app, "set")
async def set_(
    call: Call,
    tenant: TenantArgument,
    title: Annotated[str | None, typer.Option(help="Of every page; the shop's name where it is empty.")] = None,
    logo: Annotated[str | None, typer.Option(help="What stands at the head of every page.")] = None,
    tagline: Annotated[str | None, typer.Option(help="Welcomes shoppers.")] = None,
    accent: Annotated[str | None, typer.Option(help="The colour of links and buttons, such as #1d4ed8.")] = None,
) -> None:
    """Change a shop's theme; what is not given stays."""
    theme = (await call.in_shop(tenant, SETTINGS, "GetTheme", pb.GetThemeRequest())).theme
    given = {"title": title, "logo_text": logo, "tagline": tagline, "accent_color": accent}
    for name, value in given.items():
        if value is not None:
            setattr(theme, name, value)
    request = pb.SetThemeRequest(theme=theme, request_id=uuid7())
    answer = await call.in_shop(tenant, SETTINGS, "SetTheme", request)
    call.show(answer.theme, lambda: _shown(answer.theme))


def _shown(theme: pb.StorefrontTheme) -> Group:
    return Group(
        card(
            [
                ("title", theme.title),
                ("logo", theme.logo_text),
                ("tagline", theme.tagline),
                ("accent", theme.accent_color),
                ("updated", theme.update_time),
            ]
        )
    )
