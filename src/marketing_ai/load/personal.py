"""Find columns that look like personal data, which campaign figures do not need.

Names and the first thousands of cells are looked at; a column that is found is refused at the
door unless the source declares it, and a declared one is never stored.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from marketing_ai.load.reading import Delivery

SAMPLE = 5_000  # cells of each column that are looked at
SHARE = 0.2  # of the filled ones that look like an address or a number make it a column of them

_NAMES = re.compile(
    r"e_?mails?(_?addr(ess)?)?|mail_?address|(tele)?phones?(_?(no|nr|number))?|mobile(_?number)?|"
    r"cell_?phone|msisdn|first_?name|last_?name|full_?name|sur_?name|family_?name|given_?name|"
    r"(user|customer|person|contact|lead|client|visitor|subscriber)_?name|ip|ip_?addr(ess)?|"
    r"birth_?da(y|te)|date_of_birth|dob|ssn|social_security(_number)?|passport(_number)?|"
    r"street(_?address)?|home_?address|postal_?address|(street_?)?address|vorname|nachname|"
    r"telefon(nummer)?|handy(nummer)?|iban|credit_?card(_number)?"
)
# One of the words above behind others: customer_email, "Lead Phone".
_TAIL = re.compile(r"(^|.*_)(e_?mail|email_?address|phone|phone_?number|ip_?address|msisdn)")
_EMAIL = r"[^@\s,;]+@[^@\s,;]+\.[A-Za-z]{2,}"
# At least ten digits, and a sign that ids and amounts do not have: +, brackets or two separators.
_PHONE = (
    r"(\+[0-9][0-9 ()./-]{7,18}[0-9]|\([0-9]{2,5}\)[0-9 ./-]{5,14}[0-9]|"
    r"[0-9]{3}[-. ][0-9]{3}[-. ][0-9]{4}|0[0-9]{2,4}[ /-][0-9]{3,4}[ /-]?[0-9]{3,6})"
)
# A count of e-mails is no address.
_E_MAIL_NAME = re.compile(r"(.*_)?e_?mails?")
_NUMBER = r"[0-9.,]+"
_IP = r"([0-9]{1,3}\.){3}[0-9]{1,3}"


def _plain(name: str) -> str:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", spaced.casefold()).strip("_")


def personal_columns(connection: duckdb.DuckDBPyConnection, delivery: Delivery) -> list[str]:
    """Names of the columns that look like e-mail, telephone, a person's name or an IP address.

    Args:
        connection: has table `delivered`.
        delivery: what was read.
    """
    filled = ", ".join(f"count(nullif(trim({c}), ''))" for c in delivery.columns.values())
    matching = ", ".join(
        f"count(*) filter (regexp_full_match(trim({column}), ?))"
        for column in delivery.columns.values()
    )
    sample = f"(select * from delivered limit {SAMPLE})"  # noqa: S608
    width = len(delivery.columns)
    (counts,) = connection.execute(
        f"select {filled}, {matching}, {matching} from {sample}",  # noqa: S608
        [f"{_EMAIL}|{_PHONE}|{_IP}"] * width + [_NUMBER] * width,
    ).fetchall()
    found = []
    for number, name in enumerate(delivery.columns):
        cells, personal, numbers = counts[number::width]
        plain = _plain(name)
        named = bool(_NAMES.fullmatch(plain) or _TAIL.fullmatch(plain))
        if named and _E_MAIL_NAME.fullmatch(plain) and cells and numbers == cells:
            named = False
        if named or personal > SHARE * cells:
            found.append(name)
    return found
