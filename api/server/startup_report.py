"""The startup report: the address of the server, its store, and its access control."""

from __future__ import annotations

from dataclasses import dataclass

from api.server.address import Address
from core.errors import SettingsError, StoreError, StoreMissing
from core.mongo_urls import without_password
from core.settings import Settings
from core.stores import open_stores, wall_clock_ms
from core.stores.summaries import Fingerprint


@dataclass(frozen=True, slots=True)
class StartupReport:
    """The state of the store at the start.

    :param store: its URL, without user and password.
    :param state: a sentence without its full stop.
    :param hint: what the operator can do, or an empty string.
    :param open_loopback: whether programs on this host are served without a key.
    :param has_keys: whether there is a key that is neither revoked nor expired; None if the store does not answer.
    """

    store: str
    state: str
    hint: str
    open_loopback: bool
    has_keys: bool | None

    def lines(self, address: Address) -> list[str]:
        """The report of a server at `address`, one line for each sentence."""
        store = f"The store is {self.store}: {self.state}."
        return [f"Summaries are served at {address.url}", f"{store} {self.hint}".rstrip(), self._access()]

    def _access(self) -> str:
        keys = {
            None: "",
            False: " There is no valid key: python -m api keys add NAME --summaries creates one.",
            True: " python -m api keys list shows all keys.",
        }[self.has_keys]
        if self.open_loopback:
            return (
                "Programs on this host need no key (API_ACCESS=open-loopback): do not put a proxy on this host in "
                "front of the server. All others need a key." + keys
            )
        return "Programs need a key, and people a link: python -m api sign-in." + keys


def startup_report(settings: Settings) -> StartupReport:
    """The report about the store of `settings`, which is not created if it does not exist.

    :raises SettingsError: ``STORE_URL`` is invalid; or ``CURRENCY`` or ``AMOUNT_SCALE`` differ from those of the store.
    """
    has_keys: bool | None = None
    url, is_open = settings.store_url, settings.api_access == "open-loopback"
    store = url if url.startswith("sqlite:") else without_password(url)
    try:
        with open_stores(settings.store_url, timeout_s=settings.api_store_timeout_s, create=False) as stores:
            has_keys = any(key.is_valid(wall_clock_ms()) for key in stores.keys.all())
            published = stores.summaries.published()
        if published is not None:
            _require_same_unit(settings, published.fingerprint)
    except StoreMissing as error:
        return StartupReport(store, "nothing was built there yet", error.hint, is_open, False)
    except StoreError as error:
        return StartupReport(store, error.sentence, error.hint, is_open, has_keys)
    if published is None:
        state, hint = "nothing is published there yet", "Build summaries with: python -m jobs rebuild SOURCE."
    else:
        state, hint = f"{published.rows:,} summaries of {published.first_day_key} to {published.last_day_key}", ""
    return StartupReport(store, state, hint, is_open, has_keys)


def _require_same_unit(settings: Settings, fingerprint: Fingerprint) -> None:
    differing = []
    if settings.currency and fingerprint.currency not in (None, settings.currency):
        differing.append(f"CURRENCY is {settings.currency}, and amounts in the store are in {fingerprint.currency}")
    if settings.amount_scale and int(settings.amount_scale) != fingerprint.amount_scale:
        places = f"{fingerprint.amount_scale} decimal places"
        differing.append(f"AMOUNT_SCALE is {settings.amount_scale}, and amounts in the store have {places}")
    if differing:
        raise SettingsError(
            "; ".join(differing),
            "Unset the variable, to use the value of the store, or replace everything with: rebuild --truncate.",
        )
