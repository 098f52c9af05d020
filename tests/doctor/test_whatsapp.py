"""`pgmedia doctor` on WhatsApp."""

from __future__ import annotations

import pytest

from poller.sandbox.faults import Fault
from poller.sandbox.postgres import free_port
from poller.sandbox.whatsapp import WhatsAppApi
from poller.sandbox.whatsapp_errors import graph_error, rate_limited
from tests.doctor.conftest import (
    PHONE,
    Doctor,
    wrong,
)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (graph_error(10, 403, "(#10) No permission"), "(code 10): give the token the permission"),
        (graph_error(100, 400, "Unsupported get request", 33), "WHATSAPP_PHONE_ID is no number"),
        (rate_limited(), "(code 130429): too many requests; try again later"),
        (Fault(502, "<html>"), "HTTP 502: see WHATSAPP_API_URL, or try again later"),
        (Fault(200, "<html>"), "none of the Graph API: see WHATSAPP_API_URL"),
    ],
)
async def test_a_whatsapp_that_refuses(
    doctor: Doctor, whatsapp: WhatsAppApi, fault: Fault, words: str
) -> None:
    whatsapp.add_phone_number(PHONE, "Example GmbH")
    whatsapp.faults.always("account", fault)

    found = await doctor(WHATSAPP_PHONE_ID=PHONE)

    assert words in wrong(found)["whatsapp"]
    assert len(whatsapp.requests) == 1


@pytest.mark.parametrize("phone", ["", PHONE])
async def test_a_token_that_is_refused(doctor: Doctor, whatsapp: WhatsAppApi, phone: str) -> None:
    whatsapp.add_phone_number(PHONE, "Example GmbH")

    found = await doctor(WHATSAPP_PHONE_ID=phone, WHATSAPP_TOKEN="EAAG-expired")

    assert wrong(found)["whatsapp"] == (
        "Invalid OAuth access token - Cannot parse access token (code 190): put a new token into"
        " WHATSAPP_TOKEN"
    )
    assert len(whatsapp.requests) == 1


async def test_metas_message_quotes_a_malformed_token(
    doctor: Doctor, whatsapp: WhatsAppApi
) -> None:
    refusal = graph_error(190, 400, f"Malformed access token {whatsapp.token}")
    whatsapp.faults.always("account", refusal)

    found = await doctor()

    assert wrong(found)["whatsapp"].startswith("Malformed access token [hidden] (code 190): ")


async def test_a_whatsapp_that_does_not_answer(doctor: Doctor, whatsapp: WhatsAppApi) -> None:
    whatsapp.faults.always("account", Fault.disconnect())

    found = await doctor()

    assert wrong(found)["whatsapp"].endswith(f"see whether {whatsapp.url} can be reached from here")


async def test_a_whatsapp_that_is_not_there(doctor: Doctor) -> None:
    url = f"http://127.0.0.1:{free_port()}/v23.0"

    found = await doctor(WHATSAPP_API_URL=url)

    said = wrong(found)["whatsapp"]
    assert "Cannot connect to host 127.0.0.1" in said
    assert "(code " not in said  # no code of Meta's
    assert said.endswith(f": see whether {url} can be reached from here")


async def test_a_number_the_token_does_not_see(doctor: Doctor) -> None:
    found = await doctor(WHATSAPP_PHONE_ID="99999")

    assert "WHATSAPP_PHONE_ID is no number that this token may see" in wrong(found)["whatsapp"]
