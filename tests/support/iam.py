"""AWS's decision on one request, as its documentation of IAM policies describes it.

An oracle for tests, because no emulator here evaluates policies. It raises ValueError for anything
unknown (an operator, an element of a statement), so that nothing is ignored.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

Statement = dict[str, Any]
ELEMENTS = {
    "Sid",
    "Effect",
    "Principal",
    "NotPrincipal",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Condition",
}
_ARN_PARTS = 6


class Decision(Enum):
    """The decision, with its reason."""

    ALLOWED = "allowed"
    DENIED = "denied by a statement"
    NOT_ALLOWED = "allowed by no statement"


@dataclass(frozen=True)
class Request:
    """One action on one resource, by a role or by a service of AWS."""

    principal: str
    """A role's ARN, or a service's name: `events.amazonaws.com`."""
    action: str
    resource: str
    context: Mapping[str, str | list[str]] = field(default_factory=dict)
    """Condition keys: a list if the key has several values, or none."""
    owner: str = ""
    """The resource's account, if its ARN has none; by default the principal's own."""

    @property
    def is_service(self) -> bool:
        """Whether the principal is a service, which has no policies of its own."""
        return not self.principal.startswith("arn:")

    @property
    def crosses_accounts(self) -> bool:
        """Whether the principal's account is not the resource's."""
        if self.is_service:
            return False
        own = self.principal.split(":")[4]
        return (self.owner or _account(self.resource) or own) != own

    def values(self, key: str) -> str | list[str] | None:
        """Return the values of a condition key, whose name is case-insensitive."""
        for name, held in self.context.items():
            if name.lower() == key.lower():
                return held
        return None


def _account(arn: str) -> str:
    parts = arn.split(":", _ARN_PARTS - 1)
    return parts[4] if len(parts) == _ARN_PARTS else ""


def decide(
    request: Request, identity: Iterable[Statement] = (), resource: Iterable[Statement] = ()
) -> Decision:
    """Decide by the principal's own policies and those of the resource.

    A denying statement has precedence. Within an account either side may allow; between accounts
    both must. For a service only the resource's side counts.
    """
    own = [s for s in identity if _applies(s, request)]
    theirs = [s for s in resource if _named(s, request) and _applies(s, request)]
    if any(s["Effect"] == "Deny" for s in (*own, *theirs)):
        return Decision.DENIED
    # A principal admitted by its account as a whole still needs a policy of that account.
    direct = [s for s in theirs if not _by_account_alone(s, request)]
    if request.is_service:
        allowed = bool(theirs)
    elif request.crosses_accounts:
        allowed = bool(own and theirs)
    else:
        allowed = bool(own or direct)
    return Decision.ALLOWED if allowed else Decision.NOT_ALLOWED


def _applies(statement: Statement, request: Request) -> bool:
    unknown = statement.keys() - ELEMENTS
    if unknown or statement["Effect"] not in {"Allow", "Deny"}:
        raise ValueError(f"cannot evaluate {statement}")
    return (
        _acts(statement, request)
        and _concerns(statement, request)
        and all(
            _holds(operator, key, listed(wanted), request)
            for operator, keys in statement.get("Condition", {}).items()
            for key, wanted in keys.items()
        )
    )


def listed(value: Any) -> list[str]:
    """Return a list, since a policy may write a single value without one."""
    return list(value) if isinstance(value, list) else [value]


# Principal, action and resource


def _named(statement: Statement, request: Request) -> bool:
    if "NotPrincipal" in statement or "Principal" not in statement:
        raise ValueError(f"no principal to evaluate in {statement}")
    return any(_is(given, request) for given in _principals(statement))


def _principals(statement: Statement) -> list[tuple[str, str]]:
    principal = statement["Principal"]
    if principal == "*":
        return [("AWS", "*")]
    return [(kind, name) for kind, names in principal.items() for name in listed(names)]


def _is(given: tuple[str, str], request: Request) -> bool:
    kind, name = given
    if kind == "Service":
        return request.is_service and name == request.principal
    if kind != "AWS":
        raise ValueError(f"no rule for the principal {given}")
    if name == "*":
        # Services match it as users do.
        return True
    return name == request.principal or _is_account(name, request)


def _is_account(name: str, request: Request) -> bool:
    if request.is_service:
        return False
    account = request.principal.split(":")[4]
    return name == account or re.fullmatch(f"arn:[\\w-]+:iam::{account}:root", name) is not None


def _by_account_alone(statement: Statement, request: Request) -> bool:
    who = [given for given in _principals(statement) if _is(given, request)]
    return all(name != "*" and _is_account(name, request) for _, name in who)


def _acts(statement: Statement, request: Request) -> bool:
    inverted, patterns = _one_of(statement, "Action", "NotAction")
    # Names of actions are case-insensitive.
    action = request.action.lower()
    found = any(matches(_literal(pattern.lower()), action) for pattern in patterns)
    return found != inverted


def _concerns(statement: Statement, request: Request) -> bool:
    inverted, patterns = _one_of(statement, "Resource", "NotResource")
    filled = [_fill(pattern, request) for pattern in patterns]
    found = any(
        pattern is not None and _resource_matches(pattern, request.resource) for pattern in filled
    )
    return found != inverted


def _one_of(statement: Statement, plain: str, inverted: str) -> tuple[bool, list[str]]:
    if (plain in statement) == (inverted in statement):
        raise ValueError(f"{plain} or {inverted}: {statement}")
    is_inverted = inverted in statement
    return is_inverted, listed(statement[inverted if is_inverted else plain])


def _resource_matches(pattern: list[str], resource: str) -> bool:
    return pattern == [_ANY] or arn_matches(pattern, resource)


# Patterns, as lists of literal characters and of the two wildcards

_ANY, _ONE = "\0*", "\0?"


def _literal(text: str) -> list[str]:
    """Return a pattern without variables."""
    return [{"*": _ANY, "?": _ONE}.get(sign, sign) for sign in text]


def _fill(text: str, request: Request) -> list[str] | None:
    """Return a pattern with its variables' values, in which wildcards are literal; None if one has
    no value.

    `${*}`, `${?}` and `${$}` are the characters themselves.
    """
    filled: list[str] = []
    end = 0
    for variable in re.finditer(r"\$\{([^}]*)\}", text):
        filled += _literal(text[end : variable.start()])
        name = variable[1]
        value = name if name in {"*", "?", "$"} else request.values(name)
        if not isinstance(value, str):
            return None
        filled += list(value)
        end = variable.end()
    return filled + _literal(text[end:])


def matches(pattern: list[str], text: str) -> bool:
    """Whether the whole text matches the pattern."""
    signs = {_ANY: ".*", _ONE: "."}
    regular = "".join(signs.get(sign) or re.escape(sign) for sign in pattern)
    return re.fullmatch(regular, text, re.DOTALL) is not None


def arn_matches(pattern: list[str], arn: str) -> bool:
    """Match `*` and `?` within each of the six parts, never across a colon between them."""
    wanted = _parts(pattern)
    given = arn.split(":", _ARN_PARTS - 1)
    return (
        len(wanted) == len(given) == _ARN_PARTS
        and wanted[0] == ["a", "r", "n"]
        and all(map(matches, wanted, given))
    )


def _parts(pattern: list[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for sign in pattern:
        if sign == ":" and len(parts) < _ARN_PARTS:
            parts.append([])
        else:
            parts[-1].append(sign)
    return parts


def arn_like(pattern: str, arn: str) -> bool:
    """Compare as `ArnLike` does, for a pattern without variables."""
    return arn_matches(_literal(pattern), arn)


# Conditions: whether one value of the request matches one of the policy's


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, list[str]], bool]:
    def holds(given: str, wanted: list[str]) -> bool:
        try:
            return compare(float(given), float("".join(wanted)))
        except ValueError:
            return False

    return holds


def _equal(given: str, wanted: list[str]) -> bool:
    return given == _text(wanted)


def _equal_without_case(given: str, wanted: list[str]) -> bool:
    return given.lower() == _text(wanted).lower()


def _like(given: str, wanted: list[str]) -> bool:
    return matches(wanted, given)


def _arn(given: str, wanted: list[str]) -> bool:
    return arn_matches(wanted, given)


def _address(given: str, wanted: list[str]) -> bool:
    network = ipaddress.ip_network(_text(wanted), strict=False)
    return ipaddress.ip_address(given) in network


def _text(pattern: list[str]) -> str:
    """Return the text, for operators to which `*` is an ordinary character."""
    return "".join(sign.lstrip("\0") for sign in pattern)


_POSITIVE: dict[str, Callable[[str, list[str]], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_without_case,
    "StringLike": _like,
    "NumericEquals": _number(lambda given, wanted: given == wanted),
    "NumericLessThan": _number(lambda given, wanted: given < wanted),
    "NumericLessThanEquals": _number(lambda given, wanted: given <= wanted),
    "NumericGreaterThan": _number(lambda given, wanted: given > wanted),
    "NumericGreaterThanEquals": _number(lambda given, wanted: given >= wanted),
    "Bool": _equal_without_case,
    # The two are equal, as are their negations, according to AWS.
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "IpAddress": _address,
}
_NEGATED = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "NumericNotEquals": "NumericEquals",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}


def _holds(operator: str, key: str, wanted: list[str], request: Request) -> bool:
    """Evaluate one key of one operator: one value suffices, or with a negation none may match."""
    found = request.values(key)
    if operator == "Null":
        return any((not found) == (value.lower() == "true") for value in map(str, wanted))
    quantifier, _, rest = operator.rpartition(":")
    bare = rest.removesuffix("IfExists")
    negated = bare in _NEGATED
    compare = _POSITIVE.get(_NEGATED.get(bare, bare))
    if compare is None or quantifier not in {"", "ForAllValues", "ForAnyValue"}:
        raise ValueError(f"no rule for the operator {operator}")
    if found is None and bare != rest:
        return True
    patterns = [p for p in (_fill(str(each), request) for each in wanted) if p is not None]

    def one(value: str) -> bool:
        return any(compare(value, pattern) for pattern in patterns) != negated

    if quantifier == "ForAllValues":
        # Even without any value.
        return all(map(one, _listed(found)))
    if quantifier == "ForAnyValue":
        return any(map(one, _listed(found)))
    if found is not None and not isinstance(found, str):
        raise ValueError(f"{key} has several values, and {operator} is for one")
    return negated if found is None else one(found)


def _listed(values: str | list[str] | None) -> list[str]:
    return [] if values is None else listed(values)
