"""Keys and principals: who is asking, on which plan, and what the key allows.

`principals` has the worker's tables, `terms` what a key may be bound to, `addresses` where a request comes from,
`members` which of a customer's users it is for.
"""

from proxy.identity.addresses import Networks, is_from_here
from proxy.identity.keys import KEY_PREFIX, SCOPES, digest, new_key, presented
from proxy.identity.members import member_digest, member_name
from proxy.identity.principals import NAME_MAX, Identity, Principal, customer_name, is_name
from proxy.identity.terms import SURFACES, KeyTerms, Surface

__all__ = [
    "KEY_PREFIX",
    "NAME_MAX",
    "SCOPES",
    "SURFACES",
    "Identity",
    "KeyTerms",
    "Networks",
    "Principal",
    "Surface",
    "customer_name",
    "digest",
    "is_from_here",
    "is_name",
    "member_digest",
    "member_name",
    "new_key",
    "presented",
]
