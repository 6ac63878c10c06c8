"""``keys``: manages API keys."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any, Final

import typer

from api.auth.api_keys import digest_of, id_in, new_token
from core.command_line import edge, opened, print_json, print_message, print_result
from core.errors import ServiceError, UsageError
from core.instants import iso_instant, iso_instant_or_none, parse_expiry, to_the_second
from core.log_lines import looks_like_key, redacted
from core.settings import Settings
from core.stores import Stores, wall_clock_ms
from core.stores.api_keys import TENANT_SCOPES, ApiKey, Scope
from core.tables import aligned
from core.tenants import NAME_RULE, is_tenant_name

_LONGEST_NAME: Final = 100
_LONGEST_MERCHANT: Final = 1000


def add(
    name: str,
    merchants: Sequence[str],
    scopes: frozenset[Scope],
    tenant_name: str | None,
    expires: str | None,
    store_url: str | None,
    as_json: bool,
) -> None:
    """Create a key and print its token, which is not shown again.

    :param expires: its expiry, see `core.instants.parse_expiry`; None for never.
    """
    with edge(as_json):
        _require_name(name)
        tenant_name = _tenant_name(tenant_name)
        _require_scope(merchants, scopes, tenant_name)
        now_ms = wall_clock_ms()
        expires_at_ms = None if expires is None else parse_expiry(expires, now_ms)
        key_id, token = new_token()
        key = ApiKey(
            key_id,
            name.strip(),
            digest_of(token),
            scopes,
            frozenset(merchants),
            now_ms,
            tenant_name=tenant_name,
            expires_at_ms=expires_at_ms,
        )
        with opened(store_url, create=True) as (settings, stores):
            unknown = _unknown_merchants(stores, key)
            stores.keys.add(key)
        print_result(as_json, {"token": token, **_as_json(key, None)}, token)
        print_message(f"Key {key.id} ({key.name}) of the tenant {key.tenant} allows: {_allowed(key)}.")
        if expires_at_ms is not None:
            print_message(f"It expires at {to_the_second(expires_at_ms)}.")
        print_message("Save the token now: only its SHA-256 is stored, so it cannot be shown again.")
        for merchant_id in unknown:
            print_message(f"there are no summaries of a merchant {merchant_id!r} yet.", "warning")
        _print_when(settings)


def show(store_url: str | None, as_json: bool) -> None:
    """List all keys, also revoked ones."""
    with edge(as_json), opened(store_url) as (_, stores):
        keys, last_used_ms = stores.keys.all(), stores.key_uses.all()
        if as_json:
            print_json({"keys": [_as_json(key, last_used_ms.get(key.id)) for key in keys]})
            return
        if not keys:
            typer.echo("There is no valid key: python -m api keys add NAME --summaries creates one.")
            return
        instants = ("created", "expires", "last used", "revoked")
        rows = [["id", "name", "tenant", *instants, "scopes"]]
        for key in keys:
            moments_ms = (key.created_at_ms, key.expires_at_ms, last_used_ms.get(key.id), key.revoked_at_ms)
            shown = ("-" if at_ms is None else to_the_second(at_ms) for at_ms in moments_ms)
            rows.append([key.id, key.name, key.tenant, *shown, _allowed(key)])
        typer.echo(aligned(rows), nl=False)


def revoke(key: str, store_url: str | None, as_json: bool) -> None:
    """Revoke a key permanently.

    :param key: its id, or the whole token.
    """
    with edge(as_json):
        key_id = id_in(key) or key
        with opened(store_url) as (settings, stores):
            now_ms = wall_clock_ms()
            try:
                revoked = stores.keys.revoke(key_id, now_ms)
            except LookupError:
                raise ServiceError(
                    f"there is no key {redacted(key_id)}", "python -m api keys list shows the ids of all keys."
                ) from None
            left = sum(other.is_valid(now_ms) for other in stores.keys.all())
            last_used_ms = stores.key_uses.all().get(key_id)
        if as_json:
            print_json(_as_json(revoked, last_used_ms))
        already = revoked.revoked_at_ms != now_ms
        print_message(f"Key {revoked.id} ({revoked.name}) {'was revoked before' if already else 'is revoked'}.")
        if not left:
            print_message("No valid key is left: create another with keys add.")
        _print_when(settings)


def _require_name(name: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageError(
            f"NAME must have 1 to {_LONGEST_NAME} characters, none of them a control character",
            "Name the person or program that will use the key, such as: python -m api keys add till-7 --summaries.",
        )
    if looks_like_key(name):
        raise UsageError("NAME is a token", "Name the person or program that will use the key instead.")


def _tenant_name(given: str | None) -> str | None:
    """The normalised name: names that look the same must be the same tenant."""
    name = None if given is None else unicodedata.normalize("NFC", given)
    if name is not None and not is_tenant_name(name):
        raise UsageError(
            f"--tenant must have {NAME_RULE}, and must not be the name of the operator",
            "A key without a tenant and without merchants is the operator's.",
        )
    return name


def _require_scope(merchants: Sequence[str], scopes: frozenset[Scope], tenant_name: str | None) -> None:
    if not merchants and not scopes:
        raise UsageError(
            "a key must allow something",
            "Give at least one of --merchant ID, --summaries, --notifications, --operate.",
        )
    if (merchants or tenant_name is not None) and (refused := scopes - TENANT_SCOPES):
        options = ", ".join(f"--{scope}" for scope in Scope if scope in refused)
        raise UsageError(
            f"{options}: only for keys of the operator, which have neither --tenant nor --merchant",
            "Name the merchants of a tenant with --merchant ID, or create a key of the operator.",
        )
    if any(not merchant_id or len(merchant_id) > _LONGEST_MERCHANT for merchant_id in merchants):
        raise UsageError(
            f"a merchant id has 1 to {_LONGEST_MERCHANT} characters", "Use the ids of merchants in the source."
        )


def _unknown_merchants(stores: Stores, key: ApiKey) -> list[str]:
    if stores.summaries.published() is None:
        return []
    return [merchant_id for merchant_id in sorted(key.merchants) if not stores.summaries.has_merchant(merchant_id)]


def _allowed(key: ApiKey) -> str:
    merchants = [f"merchant {merchant_id}" for merchant_id in sorted(key.merchants)]
    return ", ".join([*(scope.value for scope in Scope if scope in key.allowed_scopes), *merchants])


def _as_json(key: ApiKey, last_used_ms: int | None) -> dict[str, Any]:
    return {
        "id": key.id,
        "name": key.name,
        "tenant": key.tenant,
        "scopes": [scope.value for scope in Scope if scope in key.allowed_scopes],
        "merchants": sorted(key.merchants),
        "created_at": iso_instant(key.created_at_ms),
        "expires_at": iso_instant_or_none(key.expires_at_ms),
        "last_used_at": iso_instant_or_none(last_used_ms),
        "revoked_at": iso_instant_or_none(key.revoked_at_ms),
    }


def _print_when(settings: Settings) -> None:
    print_message(f"A running server notices within {settings.api_freshness_s:g} s (API_FRESHNESS_S).")
