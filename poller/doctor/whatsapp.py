"""Is the WhatsApp token good?"""

from __future__ import annotations

from urllib.parse import urlsplit

from poller.config import Settings
from poller.doctor.findings import Findings
from poller.http import NO_CONNECTION, ProviderError, open_session
from poller.records import Failure
from poller.whatsapp import WhatsApp

CHECK = "whatsapp"
TOKEN_REFUSED = {"0", "190"}
NOT_ALLOWED = {"3", "10", "131005", *map(str, range(200, 300))}
TOO_MANY = {"4", "80007", "130429", "131056"}


async def check_whatsapp(settings: Settings, findings: Findings) -> None:
    """One request: WhatsApp blocks numbers of which too many were refused."""
    if settings.whatsapp_token is None:
        findings.skipped(CHECK, "WHATSAPP_TOKEN is missing or malformed")
        return
    host = urlsplit(settings.whatsapp_api_url).hostname or ""
    async with open_session({host}, settings.pgmedia_timeout_seconds, 1) as session:
        whatsapp = WhatsApp(
            session,
            settings.whatsapp_api_url,
            settings.whatsapp_token,
            settings.whatsapp_phone_id,
            settings.pgmedia_timeout_seconds,
        )
        try:
            name = await whatsapp.identify()
        except ProviderError as error:
            failure = error.failure
            findings.wrong(CHECK, f"{_said(failure)}: {_advice(failure, settings)}")
        else:
            what = "number" if settings.whatsapp_phone_id else "token of"
            findings.ok(CHECK, f"the token is accepted; {what} {name}")


def _said(failure: Failure) -> str:
    code = failure.provider_code
    return failure.text if code in {None, *NO_CONNECTION} else f"{failure.text} (code {code})"


def _advice(failure: Failure, settings: Settings) -> str:
    code = failure.provider_code
    if code in TOKEN_REFUSED or (code is None and failure.http_status == 401):
        return "put a new token into WHATSAPP_TOKEN"
    if code in NOT_ALLOWED:
        return "give the token the permission whatsapp_business_messaging, and its number"
    if code in TOO_MANY:
        return "too many requests; try again later"
    if code == "100" and settings.whatsapp_phone_id:
        return "WHATSAPP_PHONE_ID is no number that this token may see"
    if code in NO_CONNECTION:
        return f"see whether {settings.whatsapp_api_url} can be reached from here"
    return "see WHATSAPP_API_URL, or try again later"
