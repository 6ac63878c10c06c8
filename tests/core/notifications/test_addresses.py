"""Addresses of users: normalization, validation and masking."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.notifications.addresses import BadAddress, masked, normalised
from core.notifications.model import BUILT_IN_CHANNELS


@pytest.mark.parametrize(
    "written",
    ["09123456789", "+98 912 345 6789", "00989123456789", "۰۹۱۲۳۴۵۶۷۸۹", "٠٩١٢٣٤٥٦٧٨٩", "9123456789",
     "\u200e+98 (912) 345-6789 "],
)  # fmt: skip
def test_phone_numbers_are_normalized_to_e164(written: str) -> None:
    assert normalised("sms", written) == "+989123456789"


def test_a_phone_number_of_another_country_is_stored() -> None:
    assert normalised("sms", "+49 1512 3456789") == "+4915123456789"


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        ("12", "no such phone number"),
        ("09123", "no such phone number"),
        ("02188776655", "not the number of a mobile phone"),
        ("tel:09123456789", "not a phone number"),
        ("09123456789 ext. 5", "not a phone number"),
        ("09123456789\n", None),
        ("0912345\n6789", "control characters"),
        ("+", "not a phone number"),
        ("0" * 3000, "longer than"),
    ],
)
def test_an_invalid_mobile_number_is_refused(written: str, reason: str | None) -> None:
    if reason is None:
        assert normalised("sms", written) == "+989123456789"
        return
    with pytest.raises(BadAddress, match=reason):
        normalised("sms", written)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("Reader@Shop.Example.com", "Reader@shop.example.com"),
        (" a.b+c@example.com ", "a.b+c@example.com"),
        ("x@مثال.ایران", "x@xn--mgbh0fb.xn--mgba3a4f16a"),
    ],
)
def test_an_email_address_is_stored_with_its_domain_in_ascii(written: str, stored: str) -> None:
    assert normalised("email", written) == stored


@pytest.mark.parametrize(
    "written",
    ["nobody", "a@b@example.com", "a@example", "a@[127.0.0.1]", "a b@example.com", "نام@example.com",
     "a@example.com\r\nBcc: x@example.com", "Reader <a@example.com>", "a@example.com, b@example.com"],
)  # fmt: skip
def test_an_invalid_email_address_is_refused(written: str) -> None:
    with pytest.raises(BadAddress):
        normalised("email", written)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("123456789", "123456789"),
        ("-1001234567890", "-1001234567890"),
        ("۱۲۳۴۵", "12345"),
        ("@shop_news", "@shop_news"),
    ],
)
def test_a_telegram_chat_is_an_id_or_a_username(written: str, stored: str) -> None:
    assert normalised("telegram", written) == stored


@pytest.mark.parametrize("written", ["0", "@abc", "shop_news", "@1shop", "12.5", "9" * 17, "@shop/../x", "1e5"])
def test_an_invalid_telegram_chat_is_refused(written: str) -> None:
    with pytest.raises(BadAddress):
        normalised("telegram", written)


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("https://Hooks.Example/In?a=1&b=%20", "https://hooks.example/In?a=1&b=%20"),
        ("http://hooks.example:8080", "http://hooks.example:8080/"),
        ("https://مثال.ایران/سلام", "https://xn--mgbh0fb.xn--mgba3a4f16a/%D8%B3%D9%84%D8%A7%D9%85"),
        ("https://[2001:db8::1]/x", "https://[2001:db8::1]/x"),
    ],
)
def test_a_webhook_url_is_stored_in_ascii(written: str, stored: str) -> None:
    assert normalised("webhook", written) == stored
    assert normalised("webhook", stored) == stored


@pytest.mark.parametrize(
    "written",
    ["ftp://hooks.example/", "file:///etc/passwd", "//hooks.example", "hooks.example", "https://", "https:///x",
     "https://user:pw@hooks.example/", "https://hooks.example@127.0.0.1/", "https://hooks.example/#x",
     "https://hooks.example:0/", "https://hooks.example:99999/", "https://hooks.example\\@evil.example/",
     "https://ho oks.example/", "https://hooks_.exa mple/", "https://[::1", "https://-x.example/",
     "javascript:alert(1)", "https://hooks.example/\r\nHost: evil"],
)  # fmt: skip
def test_an_invalid_webhook_url_is_refused(written: str) -> None:
    with pytest.raises(BadAddress):
        normalised("webhook", written)


@given(st.sampled_from(["sms", "email", "telegram", "webhook", "pager"]), st.text(max_size=60))
def test_normalizing_an_address_is_idempotent(channel: str, text: str) -> None:
    with contextlib.suppress(BadAddress):
        stored = normalised(channel, text)
        assert normalised(channel, stored) == stored
        assert "\n" not in stored


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("sms", "+989123454567", "+98912***4567"),
        ("sms", "+4791234567", "+479***4567"),
        ("sms", "12345", "***"),
        ("email", "alice@example.com", "a***@example.com"),
        ("telegram", "123456789", "123***"),
        ("telegram", "1234", "***"),
        ("webhook", "https://hooks.example:8443/in/secret?key=secret", "https://hooks.example:8443/***"),
        ("webhook", "https://user:pw@hooks.example?key=secret", "https://hooks.example/***"),
        ("pager", "anything", "***"),
    ],
)
def test_a_masked_address_is_recognised_only_by_its_owner(channel: str, address: str, shown: str) -> None:
    assert masked(channel, address) == shown


@given(st.sampled_from(["sms", "email", "telegram", "webhook", "pager"]), st.text(max_size=30))
def test_a_masked_address_never_shows_the_whole_address(channel: str, address: str) -> None:
    assert "***" in masked(channel, address)


def test_built_in_channels_validate_addresses_and_plug_ins_accept_any_text() -> None:
    for channel in BUILT_IN_CHANNELS:
        with pytest.raises(BadAddress):
            normalised(channel, "no address")
    assert normalised("pigeon", "no address") == "no address"
